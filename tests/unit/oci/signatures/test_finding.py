"""Signatures in a repository: both places, and whatever else may lie there."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.registry.registry import Document, Registry
from jackstay_oci.signatures import finding
from jackstay_oci.signatures.finding import ANNOTATION, PAYLOAD, find_signatures, tag
from jackstay_oci.signatures.judging import Signature
from tests.unit.oci.signatures.signed import IMAGE, Repository, Signer, manifest, payload

OURS = Signer()
TRUE = OURS.sign(payload())
TAG = tag(IMAGE)


async def found(repository: Repository) -> list[Signature]:
    return await find_signatures(cast(Registry, repository), "team/app", IMAGE)


def layer(**fields: Any) -> bytes:
    """A manifest of one signature, whose layer has other fields."""
    document = json.loads(manifest([TRUE]))
    document["layers"][0] |= fields
    return json.dumps(document).encode()


async def test_none() -> None:
    repository = Repository()
    assert await found(repository) == []
    assert repository.asked == [f"sha256-{IMAGE.hex}.sig"]


async def test_under_the_tag_and_by_reference() -> None:
    repository, other = Repository(), Signer().sign(payload())
    repository.attach(TAG, [TRUE])
    repository.refer([other])
    assert await found(repository) == [TRUE, other]


async def test_what_refers_to_the_image_and_is_no_signature_is_not_asked_for() -> None:
    repository = Repository()
    repository.refer([TRUE], artifact_type="application/spdx+json")
    assert await found(repository) == []
    assert repository.asked == [TAG]


@pytest.mark.parametrize(
    "data",
    [
        b"no document",
        b"{}",
        json.dumps({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": []}).encode(),
        b" " * (5 << 20),
        layer(mediaType="application/vnd.dsse.envelope.v1+json"),
        layer(annotations={}),
        layer(annotations={ANNOTATION: ""}),
        layer(annotations={ANNOTATION: "not base64"}),
        layer(annotations={ANNOTATION: "ä"}),
        layer(digest=Digest.of(b"a blob that is not there")),
    ],
    ids=[
        "no JSON", "nothing", "an index", "huge", "another layer", "no signature", "an empty signature", "no base64",
        "no ASCII", "no blob",
    ],
)  # fmt: skip
async def test_what_is_no_signature_hides_none(data: bytes) -> None:
    repository = Repository()
    repository.refer([TRUE])
    repository.documents[TAG] = data
    assert await found(repository) == [TRUE]


async def test_a_payload_that_is_not_what_its_digest_says(monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository()
    repository.attach(TAG, [TRUE])
    repository.blobs[Digest.of(TRUE.payload)] = TRUE.payload.replace(b"tests", b"TESTS")
    assert await found(repository) == []
    monkeypatch.setattr(finding, "verify", lambda *_: None)
    assert len(await found(repository)) == 1


@pytest.mark.parametrize(
    ("bound", "data"),
    [
        ("MAX_PAYLOAD", layer(size=finding.MAX_PAYLOAD + 1)),
        ("MAX_SIGNATURE", layer(annotations={ANNOTATION: "A" * (finding.MAX_SIGNATURE + 4)})),
    ],
)
async def test_a_huge_signature_is_not_read(bound: str, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository()
    repository.attach(TAG, [TRUE])
    repository.documents[TAG] = data
    assert await found(repository) == []
    assert repository.asked == [TAG]
    monkeypatch.setattr(finding, bound, 1 << 40)
    assert len(await found(repository)) == 1


async def test_how_many_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository()
    many = [OURS.sign(payload(reference=f"registry.example/team/app:{number}")) for number in range(60)]
    repository.attach(TAG, many)
    assert len(await found(repository)) == finding.MAX_SIGNATURES
    assert len(repository.asked) == 1 + finding.MAX_SIGNATURES
    monkeypatch.setattr(finding, "MAX_SIGNATURES", 1000)
    assert await found(repository) == many


async def test_signatures_that_are_not_there_count() -> None:
    """Else a manifest of 4 MiB would have a registry asked ten thousand times."""
    repository = Repository()
    repository.attach(
        TAG, [OURS.sign(payload(reference=f"registry.example/team/app:{number}")) for number in range(60)]
    )
    repository.blobs.clear()
    assert await found(repository) == []
    assert len(repository.asked) == 1 + finding.MAX_SIGNATURES


async def test_how_many_referrers_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository()
    for number in range(30):
        repository.refer([OURS.sign(payload(reference=f"registry.example/team/app:{number}"))])
    assert len(await found(repository)) == finding.MAX_REFERRERS
    monkeypatch.setattr(finding, "MAX_REFERRERS", 30)
    assert len(await found(repository)) == 30


async def test_a_manifest_by_another_name_of_its_kind_is_no_manifest() -> None:
    """Asked for a manifest, a registry may give an index: its type decides how it is read."""

    class Lying(Repository):
        async def manifest(self, repository: str, reference: str) -> Document:
            document = await super().manifest(repository, reference)
            kind = media_types.OCI_INDEX
            return Document(
                type(document.descriptor)(media_type=kind, digest=document.descriptor.digest, size=1), document.data
            )

    repository = Lying()
    repository.attach(TAG, [TRUE])
    assert await found(repository) == []
    assert json.loads(repository.documents[TAG])["layers"][0]["mediaType"] == PAYLOAD
