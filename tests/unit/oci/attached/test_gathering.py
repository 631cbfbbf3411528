"""What is gathered of what is attached to an image: all, each once, in bounds, and nothing that is about others."""

from __future__ import annotations

import json

import pytest

from jackstay_oci import media_types
from jackstay_oci.attached import gathering
from jackstay_oci.attached.gathering import Gathered, gather
from jackstay_oci.digest import Digest
from jackstay_oci.errors import RegistryFailed
from tests.unit.oci.attached.attachments import IMAGE, Shelf, manifest

OTHER = Digest.of(b"another manifest of the index")


async def gathered(shelf: Shelf, *image: Digest) -> Gathered:
    return await gather(image or (IMAGE,), shelf.ask, shelf.read)


def digests(found: Gathered) -> list[Digest]:
    return [one.digest for one in found.found]


async def test_by_subject_and_by_tag_of_every_manifest_and_what_is_attached_to_that() -> None:
    shelf = Shelf()
    signature = shelf.attach(b"signature", kind="sig")
    sbom = shelf.attach(b"list of parts", OTHER)
    about_sbom = shelf.attach(b"signature of the list", sbom)
    found = await gathered(shelf, IMAGE, OTHER)
    assert digests(found) == [signature, sbom, about_sbom]
    assert [one.offer.kind for one in found.found] == ["sig", "", ""]
    assert found.found[0].offer.tag == f"sha256-{IMAGE.hex}.sig"
    assert found.warnings == ()
    assert signature not in shelf.asked  # nobody signs signatures


async def test_nothing_is_attached() -> None:
    shelf = Shelf()
    assert await gathered(shelf) == Gathered()
    assert shelf.asked == [IMAGE]


async def test_what_is_attached_in_both_ways_is_read_once() -> None:
    shelf = Shelf()
    digest = shelf.attach(b"signature")
    shelf.put(shelf.documents[digest], kind="sig")
    found = await gathered(shelf)
    assert [(one.digest, one.offer.kind) for one in found.found] == [(digest, ""), (digest, "sig")]
    assert shelf.read_ == [digest]


async def test_tags_in_a_circle_end() -> None:
    shelf = Shelf()
    one = shelf.attach(b"one", kind="att")
    two = shelf.attach(b"two", one, kind="att")
    shelf.put(shelf.documents[one], two, "att")
    shelf.put(b"the image's manifest", one, "att")
    found = await gathered(shelf)
    assert digests(found) == [one, two, one]
    assert found.warnings == ()


async def test_only_so_deep(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    chain = [shelf.attach(b"0")]
    for number in range(5):
        chain.append(shelf.attach(str(number).encode(), chain[-1]))
    assert digests(await gathered(shelf)) == chain[: gathering.DEPTH]
    monkeypatch.setattr(gathering, "DEPTH", 6)
    assert digests(await gathered(shelf)) == chain


async def test_only_so_many_manifests_and_one_line_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    for number in range(2000):
        shelf.attach(str(number).encode())
    found = await gathered(shelf)
    assert len(found.found) == len(shelf.read_) == gathering.DOCUMENTS
    assert len(found.warnings) == 1
    assert "64 manifests" in found.warnings[0]


async def test_only_so_many_bytes_and_blobs(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    small = shelf.attach(b"small")
    huge = {"mediaType": "x/y", "digest": Digest.of(b"huge"), "size": 1 << 40}
    shelf.attach(b"", layers=[huge])
    found = await gathered(shelf)
    assert digests(found) == [small]
    assert "64 MiB" in found.warnings[0]
    many = Shelf()
    layers = [{"mediaType": "x/y", "digest": Digest.of(bytes([n])), "size": 0} for n in range(200)]
    first = many.attach(b"", layers=layers)
    many.attach(b"1", layers=[{**layer, "digest": Digest.of(layer["digest"].encode())} for layer in layers])
    again = many.attach(b"2", layers=layers, annotations={"the": "same blobs count once"})
    assert digests(await gathered(many)) == [first, again]


async def test_a_manifest_too_large_is_not_asked_for() -> None:
    shelf = Shelf()
    shelf.put(manifest(b"content"), size=gathering.DOCUMENT_BYTES + 1)
    found = await gathered(shelf)
    assert (found.found, shelf.read_) == ((), [])
    assert str(gathering.DOCUMENT_BYTES) in found.warnings[0]


async def test_what_is_not_about_the_image_is_left_out() -> None:
    shelf = Shelf()
    shelf.put(manifest(b"about another", OTHER))
    shelf.put(manifest(b"about nothing", None))
    good = shelf.attach(b"about it")
    found = await gathered(shelf)
    assert digests(found) == [good]
    assert all("is not about" in warning for warning in found.warnings)


async def test_what_is_no_manifest_is_left_out() -> None:
    shelf = Shelf()
    index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": []}
    shelf.put(json.dumps(index).encode(), media_type=media_types.OCI_INDEX)
    shelf.put(json.dumps(index).encode() + b" ")
    shelf.put(b"<html>")
    good = shelf.attach(b"about it")
    wrong = shelf.put(manifest(b"content"))
    shelf.documents[wrong.document.digest] = manifest(b"CONTENT")
    found = await gathered(shelf)
    assert digests(found) == [good]
    assert len(found.warnings) == gathering.WARNINGS


@pytest.mark.parametrize("kind", ["../x", "SIG", "s" * 17])
async def test_a_tag_that_is_none_is_left_out(kind: str) -> None:
    shelf = Shelf()
    shelf.put(manifest(b"content", None), kind=kind)
    found = await gathered(shelf)
    assert found.found == ()
    assert "a tag that is none" in found.warnings[0]


async def test_failures_are_told_and_the_rest_is_taken() -> None:
    shelf = Shelf()
    good = shelf.attach(b"about it")
    shelf.failing[IMAGE] = RegistryFailed("registry.example is out of order")
    gone = shelf.attach(b"gone")
    del shelf.documents[gone]
    found = await gathered(shelf)
    assert digests(found) == [good]
    assert "registry.example is out of order" in found.warnings[0]
    assert f"no manifest {gone}" in found.warnings[1]


async def test_only_so_many_manifests_of_the_image_are_asked_for() -> None:
    shelf = Shelf()
    found = await gathered(shelf, *(Digest.of(str(n).encode()) for n in range(1000)))
    assert len(shelf.asked) == gathering.SUBJECTS
    assert "the first 64" in found.warnings[0]
