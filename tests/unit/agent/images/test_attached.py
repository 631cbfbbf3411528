"""What is attached to an image comes with it from a registry, stays as long as it, and never costs the image."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jackstay_agent.checking import needs
from jackstay_agent.errors import Error, RateLimited, RegistryFailed, Unauthorized
from jackstay_agent.images import attached, removing
from jackstay_agent.metadata import usage
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.registry.registry import Document
from tests.unit.agent.images.attachments import refer, rows, tag
from tests.unit.agent.images.image_host import ImageHost, Made, descriptor, tar
from tests.unit.agent.images.memory_registry import MemoryRegistry
from tests.unit.agent.images.test_pulling import NAME, given, pull

A, B = tar({"a": b"a" * 20_000}), tar({"b": b"b"})
REPOSITORY = "registry.example/app"


def signed(host: ImageHost, made: Made) -> tuple[MemoryRegistry, Descriptor, Descriptor]:
    """A registry that has *made* with a signature by its tag, and a list of parts by its subject."""
    registry = given(host, made)
    return registry, tag(registry, made.root.digest, b"signature"), refer(registry, made.root, b"list of parts")


def content(host: ImageHost, digest: Digest | str) -> bytes:
    return next(host.root.glob(f"content/blobs/sha256/{Digest.parse(digest).hex}")).read_bytes()


async def test_signature_and_referrer_come_with_the_image_and_go_with_it(host: ImageHost) -> None:
    made = Made([A], compress=True)
    registry, signature, sbom = signed(host, made)
    deeper = refer(registry, sbom, b"about the list of parts")
    pulled = await pull(host)
    assert pulled.received.warnings == ()
    digests = sorted(str(each.digest) for each in (signature, sbom, deeper))
    name = f"{REPOSITORY}:sha256-{made.root.digest.hex}.sig"
    assert await rows(host) == (digests, [name])
    for each in (signature, sbom, deeper):
        assert content(host, each.digest) == registry.manifests[f"app@{each.digest}"].data
    assert content(host, Digest.of(b"signature")) == b"signature"
    await host.collector.collect()
    assert (await rows(host))[0] == digests
    await host.whole()
    await removing.remove(host.database, host.collector, NAME, force=False)
    assert await rows(host) == ([], [])
    assert await host.column("SELECT digest FROM blobs") == []
    await host.whole()


async def test_a_second_pull_brings_only_what_was_attached_since(host: ImageHost) -> None:
    made = Made([A], compress=True)
    registry, _, _ = signed(host, made)
    assert (await pull(host)).received.sent > 0
    registry.asked.clear()
    again = await pull(host)
    assert (again.received.sent, again.received.changed) == (0, False)
    assert all(question.startswith(("HEAD", "referrers")) for question in registry.asked)
    newer = tag(registry, made.root.digest, b"signature by two")
    assert (await pull(host)).received.sent > 0
    await host.collector.collect()
    assert str(newer.digest) in (await rows(host))[0]
    assert len((await rows(host))[0]) == 2  # the signature before it went
    await host.whole()


async def test_where_nothing_is_attached_two_questions_are_asked_beside_the_layers(host: ImageHost) -> None:
    made = Made([A, B], compress=True)
    registry = given(host, made)
    begun = asyncio.Event()

    class Waiting(MemoryRegistry):
        async def wait(self, digest: Digest, offset: int) -> None:
            if digest in {Digest(layer["digest"]) for layer in made.manifest["layers"]}:
                await begun.wait()  # no layer comes before it was asked what is attached

        async def referrers(self, repository: str, digest: Digest) -> list[Descriptor]:
            begun.set()
            return await super().referrers(repository, digest)

    waiting = host.registries["registry.example"] = Waiting(blobs=registry.blobs, manifests=registry.manifests)
    await pull(host)
    more = [question for question in waiting.asked if "referrers" in question or "sha256-" in question]
    assert len(more) == 2


async def test_of_an_index_also_what_is_about_the_manifest_that_comes(host: ImageHost) -> None:
    made, other = Made([A]), Made([B], config={"architecture": "s390x", "variant": ""})
    here = {"architecture": made.config["architecture"], "os": "linux"}
    there = {"architecture": "s390x", "os": "linux"}
    index = made.index(
        descriptor(media_types.OCI_MANIFEST, made.blobs[made.root.digest], platform=here),
        descriptor(media_types.OCI_MANIFEST, other.blobs[other.root.digest], platform=there),
    )
    registry = host.registries["registry.example"] = MemoryRegistry()
    for each in (made, other):
        registry.put("app", "one", each.root, dict(each.blobs))
    registry.put("app", "1", index, {index.digest: made.blobs[index.digest]})
    for digest in (made.root.digest, other.root.digest):
        registry.blobs.pop(digest, None)
    about = [refer(registry, root, str(root.digest).encode()) for root in (index, made.root, other.root)]
    await pull(host)
    assert (await rows(host))[0] == sorted(str(each.digest) for each in about[:2])
    await pull(host, all_platforms=True)
    assert (await rows(host))[0] == sorted(str(each.digest) for each in about)


@pytest.mark.parametrize("kind", [Unauthorized, RateLimited, RegistryFailed])
async def test_a_registry_that_does_not_say_what_is_attached_gives_the_image_and_one_warning(
    host: ImageHost, kind: type[Error]
) -> None:
    registry, signature, _ = signed(host, Made([A]))
    registry.no_referrers = kind("registry.example says no")
    pulled = await pull(host)
    assert len(pulled.received.warnings) == 1
    assert "registry.example says no" in pulled.received.warnings[0]
    assert (await rows(host))[0] == [str(signature.digest)]
    await host.whole()


async def test_what_does_not_come_in_whole_is_left_out(host: ImageHost) -> None:
    made = Made([A])
    registry, _, sbom = signed(host, made)
    registry.blobs[Digest.of(b"signature")] = b"SIGNATURE"
    pulled = await pull(host)
    assert len(pulled.received.warnings) == 1
    assert "did not come" in pulled.received.warnings[0]
    assert await rows(host) == ([str(sbom.digest)], [])
    await host.collector.settle()
    assert not await host.content.has(Digest.of(b"signature"))
    await host.whole()


async def test_nor_is_what_is_about_that(host: ImageHost) -> None:
    made = Made([A])
    registry = given(host, made)
    refer(registry, refer(registry, made.root, b"list of parts"), b"about it")
    registry.blobs[Digest.of(b"list of parts")] = b"LIST OF PARTS"
    await pull(host)
    assert await rows(host) == ([], [])
    await host.whole()


async def test_the_image_does_not_wait_for_it_without_end(host: ImageHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that never answers: the image is here, and nothing goes on after the pull."""
    monkeypatch.setattr(attached, "GRACE", 0.05)
    made = Made([A])
    registry = given(host, made)

    class Silent(MemoryRegistry):
        async def referrers(self, repository: str, digest: Digest) -> list[Descriptor]:
            try:
                await asyncio.Event().wait()
            finally:
                self.asked.append("given up")
            return []

    silent = host.registries["registry.example"] = Silent(blobs=registry.blobs, manifests=registry.manifests)
    pulled = await pull(host)
    assert "came within" in pulled.received.warnings[0]
    assert silent.asked[-1] == "given up"
    await host.whole()


async def test_what_came_in_time_is_kept(host: ImageHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature, beside a list of parts that never ends."""
    monkeypatch.setattr(attached, "GRACE", 0.5)
    made = Made([A])
    registry, signature, _ = signed(host, made)

    class Slow(MemoryRegistry):
        async def wait(self, digest: Digest, offset: int) -> None:
            if digest == Digest.of(b"list of parts"):
                await asyncio.Event().wait()

    host.registries["registry.example"] = Slow(blobs=registry.blobs, manifests=registry.manifests, held=registry.held)
    pulled = await pull(host)
    assert "came within" in pulled.received.warnings[0]
    assert (await rows(host))[0] == [str(signature.digest)]
    host.registries["registry.example"] = registry
    await pull(host)
    assert len((await rows(host))[0]) == 2
    await host.whole()


async def test_a_registry_that_names_thousands_gives_so_many(host: ImageHost) -> None:
    made = Made([A])
    registry = given(host, made)
    for number in range(300):
        refer(registry, made.root, b"%d" % number)
    pulled = await pull(host)
    assert len((await rows(host))[0]) == 64
    assert "more than 64 manifests" in pulled.received.warnings[0]


async def test_an_image_that_fails_leaves_nothing_of_it(host: ImageHost) -> None:
    made = Made([A], compress=True)
    registry, _, _ = signed(host, made)
    registry.blobs[Digest(made.manifest["layers"][0]["digest"])] = b"x"
    with pytest.raises(Error):
        await pull(host)
    assert await rows(host) == ([], [])


async def test_by_digest_it_gets_its_tag_in_the_repository(host: ImageHost) -> None:
    made = Made([A])
    registry, _, _ = signed(host, made)
    by_digest = f"{REPOSITORY}@{made.root.digest}"
    await pull(host, by_digest)
    assert (await rows(host))[1] == [f"{REPOSITORY}:sha256-{made.root.digest.hex}.sig"]
    registry.asked.clear()
    await pull(host, by_digest)
    assert registry.asked == []


async def test_what_is_attached_to_an_image_in_use_is_not_reclaimable(host: ImageHost) -> None:
    made = Made([A], compress=True)
    signed(host, made)
    await pull(host)
    await host.container("c", made.root.digest)
    lines: dict[str, Any] = {line.type: line for line in await host.database.read(usage.images)}
    assert lines["Blobs"].reclaimable == 0
    assert lines["Blobs"].total == len(made.blobs) + 5
    needed = {row["digest"]: row["images"] for row in await host.database.read(usage.blobs)}
    assert set(needed.values()) == {1}
    await host.end("c")
    said = (await host.database.read(usage.images))[0].reclaimable
    _, freed = await removing.prune(host.database, host.room, all_unused=True)
    assert freed == said
    assert await host.column("SELECT digest FROM blobs") == []


async def test_what_a_registry_calls_attached_is_not_taken_for_an_image(host: ImageHost) -> None:
    """A registry has another image's manifest under the tag: it is kept as an artifact, and no name moves."""
    made, other = Made([A]), Made([B])
    registry = given(host, made)
    given(host, other, "2")
    await pull(host, f"{REPOSITORY}:2")
    document = registry.manifests["app:2"]
    registry.manifests[f"app:sha256-{made.root.digest.hex}.sig"] = Document(document.descriptor, document.data)
    await pull(host)
    assert len(await host.column("SELECT root FROM images")) == 2
    assert (await host.images.find(f"{REPOSITORY}:2")).root == other.root.digest
    await host.whole()


async def test_a_check_knows_whose_it_is_and_the_next_pull_repairs_it(host: ImageHost) -> None:
    signed(host, Made([A]))
    await pull(host)
    payload = Digest.of(b"signature")
    assert (await host.database.read(lambda c: needs.of_blob(c, payload))).images == ("registry.example/app:1",)
    next(host.root.glob(f"content/blobs/sha256/{payload.hex}")).unlink()
    await pull(host)
    assert content(host, payload) == b"signature"
    await host.whole()
