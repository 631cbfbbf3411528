"""Pushing: what is sent and what is spared, what an index needs, layers compressed once, damage, and what is held."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import sqlite3
from typing import Any

import pytest

from jackstay_agent.errors import DigestMismatch, InvalidArgument, NotFound, RegistryFailed
from jackstay_agent.images import compressing
from jackstay_agent.images.documents import Target
from jackstay_agent.metadata import leases
from jackstay_oci import media_types
from jackstay_oci.compression import decompressing
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Index, Manifest, parse_manifest
from jackstay_oci.registry.pushing import Phase, Pushed, Step
from tests.unit.agent.images.image_host import ImageHost, Made, Memory, descriptor, tar
from tests.unit.agent.images.memory_registry import MemoryRegistry
from tests.unit.agent.images.test_receiving import damage

A, B = tar({"a": b"a" * 200_000}), tar({"b": b"b"})
NAME = "registry.example/app:1"
NOBODY: Any = None


def registry_of(host: ImageHost) -> MemoryRegistry:
    return host.registries.setdefault("registry.example", MemoryRegistry())


async def push(host: ImageHost, name: str = NAME, to: str = NAME, **options: Any) -> tuple[Pushed, list[Step]]:
    steps: list[Step] = []
    pushed = await host.pusher.push(name, to, NOBODY, steps.append, **options)
    return pushed, steps


def manifest_at(registry: MemoryRegistry, reference: str) -> Manifest:
    document = registry.manifests[reference]
    parsed = parse_manifest(document.data, document.descriptor.media_type)
    assert isinstance(parsed, Manifest)
    return parsed


async def test_an_image_comes_to_be_there_and_a_second_push_sends_nothing(host: ImageHost) -> None:
    made = Made([A, B], compress=True)
    await host.load(made, NAME)
    registry = registry_of(host)
    first, steps = await push(host)
    assert first.root == made.root
    assert first.sent == sum(map(len, made.blobs.values()))
    assert first.spared == 0
    assert registry.manifests["app:1"].data == made.blobs[made.root.digest]
    assert {step.phase for step in steps} == {Phase.SENDING, Phase.SENT}
    registry.asked.clear()
    again, steps = await push(host)
    assert (again.root, again.sent) == (made.root, 0)
    assert again.spared == first.sent - made.root.size
    assert {step.phase for step in steps} == {Phase.PRESENT}
    assert all(asked.startswith("HEAD") for asked in registry.asked)
    assert registry.closed == 2
    await host.whole()


async def test_what_another_repository_of_the_registry_has_is_mounted(host: ImageHost) -> None:
    base, made = Made([A], compress=True), Made([A, B], compress=True)
    await host.load(base, "registry.example/base:1")
    await host.load(made, NAME)
    registry = registry_of(host)
    await push(host, "registry.example/base:1", "registry.example/base:1")
    registry.asked.clear()
    pushed, steps = await push(host)
    layer = Digest(made.manifest["layers"][0]["digest"])
    assert [step.digest for step in steps if step.phase is Phase.MOUNTED] == [layer]
    assert f"mount app {layer} base" in registry.asked
    assert pushed.spared == made.manifest["layers"][0]["size"]


async def test_so_is_what_was_compressed_for_the_other_one(host: ImageHost) -> None:
    base, made = Made([A]), Made([A, B])
    await host.load(base, "registry.example/base:1")
    await host.load(made, NAME)
    registry = registry_of(host)
    await push(host, "registry.example/base:1", "registry.example/base:1")
    (layer,) = manifest_at(registry, "base:1").layers
    _, steps = await push(host)
    assert [step.digest for step in steps if step.phase is Phase.MOUNTED] == [layer.digest]


@pytest.mark.parametrize("algorithm", ["gzip", "zstd"])
async def test_layers_are_compressed_once_for_each_algorithm(host: ImageHost, algorithm: str) -> None:
    big = tar({"big": os.urandom(1 << 20) * 3})
    made = Made([big, A])
    await host.load(made, NAME)
    registry = registry_of(host)
    first, steps = await push(host, compression=algorithm)
    manifest = manifest_at(registry, "app:1")
    kind = {"gzip": media_types.OCI_LAYER_GZIP, "zstd": media_types.OCI_LAYER_ZSTD}[algorithm]
    assert [layer.media_type for layer in manifest.layers] == [kind, kind]
    assert [plain(registry.blobs[layer.digest]) for layer in manifest.layers] == [big, A]
    assert manifest.config.digest == made.image_id
    assert first.root.digest != made.root.digest
    assert {step.digest for step in steps if step.phase is Phase.COMPRESSING} == {Digest.of(big), Digest.of(A)}
    again, steps = await push(host, compression=algorithm)
    assert (again.root, again.sent) == (first.root, 0)
    assert {step.phase for step in steps} == {Phase.PRESENT}


async def test_gzip_carries_no_time_and_the_same_image_gives_the_same_digest(host: ImageHost) -> None:
    made = Made([A])
    await host.load(made, NAME)
    registry = registry_of(host)
    first, _ = await push(host)
    (layer,) = manifest_at(registry, "app:1").layers
    assert registry.blobs[layer.digest][4:8] == bytes(4)
    await host.database.write("test", lambda c: c.execute("DELETE FROM compressed"))
    await host.collector.collect()
    again, steps = await push(host)
    assert again.root == first.root
    assert Phase.COMPRESSING in {step.phase for step in steps}


async def test_with_no_compression_the_image_goes_as_it_is(host: ImageHost) -> None:
    made = Made([A])
    await host.load(made, NAME)
    registry_of(host)
    pushed, _ = await push(host, compression="none")
    assert pushed.root == made.root


async def test_collection_takes_the_compressed_copy_and_a_registry_that_has_it_needs_none(host: ImageHost) -> None:
    made = Made([A])
    await host.load(made, NAME)
    registry = registry_of(host)
    await push(host)
    (layer,) = manifest_at(registry, "app:1").layers
    assert await host.content.has(layer.digest)
    await host.collector.collect()
    assert not await host.content.has(layer.digest)
    assert await host.content.has(Digest.of(A))
    again, steps = await push(host)
    assert again.sent == 0
    assert {step.phase for step in steps} == {Phase.PRESENT}
    assert not await host.content.has(layer.digest)
    await host.whole()


async def test_a_registry_that_lost_it_gets_it_made_again(host: ImageHost) -> None:
    made = Made([A])
    await host.load(made, NAME)
    registry = registry_of(host)
    first, _ = await push(host)
    await host.collector.collect()
    registry.held.clear()
    registry.manifests.clear()
    again, steps = await push(host)
    assert again == first
    assert Phase.COMPRESSING in {step.phase for step in steps}


async def test_a_push_holds_what_it_compressed(host: ImageHost) -> None:
    """A collection in the middle of it takes nothing that it is about to send."""
    made = Made([A, B])
    await host.load(made, NAME)

    class Collecting(MemoryRegistry):
        async def upload(self, repository: str, blob: Descriptor, reader: Any) -> None:
            await host.collector.collect()
            await super().upload(repository, blob, reader)

    host.registries["registry.example"] = Collecting()
    await push(host)
    await host.collector.settle()
    held = await host.column("SELECT digest FROM blobs")
    assert len(held) == len(made.blobs)  # when it was over, its copies went
    await host.whole()


async def test_without_that_hold_a_collection_takes_it(host: ImageHost, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Made([A])
    await host.load(made, NAME)

    def nothing(connection: sqlite3.Connection, lease: str, digest: Digest) -> None:
        return

    class Collecting(MemoryRegistry):
        async def upload(self, repository: str, blob: Descriptor, reader: Any) -> None:
            await host.collector.collect()
            await super().upload(repository, blob, reader)

    host.registries["registry.example"] = Collecting()
    monkeypatch.setattr(leases, "keep_blob", nothing)
    with pytest.raises(NotFound):
        await push(host)


async def test_two_pushes_at_once_compress_a_layer_once(host: ImageHost) -> None:
    made = Made([tar({"big": os.urandom(1 << 20)})])
    await host.load(made, NAME, "registry.example/app:2")
    registry_of(host)
    (one, first), (two, second) = await asyncio.gather(push(host), push(host, to="registry.example/app:2"))
    assert one.root == two.root
    begun = [step for step in first + second if step.phase is Phase.COMPRESSING and step.current == 0]
    assert len(begun) == 1


async def test_a_layer_that_the_disk_has_damaged_is_not_compressed(host: ImageHost) -> None:
    made = Made([A])
    await host.load(made, NAME)
    damage(host, Digest.of(A))
    registry = registry_of(host)
    with pytest.raises(DigestMismatch, match="damaged on this host's disk"):
        await push(host)
    assert registry.blobs == {}
    assert not await host.content.has(Digest.of(A))  # as a row without its file it is what a load repairs
    assert await host.column("SELECT 1 FROM compressed") == []


async def test_a_blob_that_the_disk_has_damaged_is_found_when_the_registry_refuses_it(host: ImageHost) -> None:
    made = Made([A], compress=True)
    await host.load(made, NAME)
    layer = Digest(made.manifest["layers"][0]["digest"])
    damage(host, layer)
    registry_of(host)
    with pytest.raises(DigestMismatch):
        await push(host)
    assert not await host.content.has(layer)


async def test_a_caller_who_goes_away_while_it_is_compressed_leaves_nothing(
    host: ImageHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made([tar({"big": bytes(8 << 20)})])
    await host.load(made, NAME)
    registry = registry_of(host)
    begun = asyncio.Event()
    monkeypatch.setattr(compressing, "_PIECE", 1 << 10)

    def report(step: Step) -> None:
        begun.set()

    task = asyncio.create_task(host.pusher.push(NAME, NAME, NOBODY, report))
    await begun.wait()
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert registry.blobs == {}
    assert registry.closed == 1
    await host.whole()


async def test_a_failure_leaves_nothing_and_is_told(host: ImageHost) -> None:
    made = Made([A, B], compress=True)
    await host.load(made, NAME)
    registry = registry_of(host)
    registry.failing = RegistryFailed("registry.example is out of order")
    with pytest.raises(RegistryFailed, match="out of order"):
        await push(host)
    assert (registry.open, registry.manifests, registry.closed) == (0, {}, 1)
    await host.whole()


def several(made: Made, *others: Made) -> Descriptor:
    """An index of images for several platforms, the first for this host's."""
    entries = [descriptor(media_types.OCI_MANIFEST, made.blobs[made.root.digest], platform=own(made))]
    for other in others:
        entries.append(descriptor(media_types.OCI_MANIFEST, other.blobs[other.root.digest], platform=own(other)))
        made.blobs.update(other.blobs)
    return made.index(*entries)


def own(made: Made) -> dict[str, str]:
    return {key: made.config[key] for key in ("os", "architecture", "variant") if key in made.config}


def foreign() -> Made:
    return Made([tar({"f": b"f" * 5000})], config={"os": "linux", "architecture": "s390x"})


async def load_index(host: ImageHost, made: Made, root: Descriptor, *, all_platforms: bool) -> None:
    target = Target(root, (NAME,), all_platforms=all_platforms)
    await host.receiver.receive(target, [Memory(made.blobs)], host.steps.append)


async def test_an_index_that_is_here_in_whole_is_pushed_in_whole(host: ImageHost) -> None:
    made = Made([A])
    root = several(made, foreign())
    await load_index(host, made, root, all_platforms=True)
    registry = registry_of(host)
    pushed, _ = await push(host, compression="none")
    assert pushed.root == root
    packed, _ = await push(host, to="registry.example/app:packed")
    document = registry.manifests["app:packed"]
    index = parse_manifest(document.data, document.descriptor.media_type)
    assert isinstance(index, Index)
    assert packed.root == document.descriptor
    for entry, layers in zip(index.manifests, ([A], [tar({"f": b"f" * 5000})]), strict=True):
        manifest = manifest_at(registry, f"app@{entry.digest}")
        assert [plain(registry.blobs[layer.digest]) for layer in manifest.layers] == layers
        assert entry.platform is not None
    await host.whole()


async def test_of_an_index_that_is_not_the_missing_is_named_and_one_platform_can_be_pushed(host: ImageHost) -> None:
    made = Made([A], compress=True)
    root = several(made, foreign())
    await load_index(host, made, root, all_platforms=False)
    registry = registry_of(host)
    with pytest.raises(NotFound, match=r"app:1 is not here in whole: linux/s390x missing") as raised:
        await push(host)
    assert "--platform" in raised.value.hint
    mine = own(made)
    pushed, _ = await push(host, platform="/".join(mine.values()))
    assert pushed.root.digest == made.root.digest
    assert registry.manifests["app:1"].descriptor.digest == made.root.digest
    with pytest.raises(NotFound, match="is not here for linux/s390x"):
        await push(host, platform="linux/s390x")


async def test_an_image_of_one_platform_is_not_pushed_for_another(host: ImageHost) -> None:
    await host.load(Made([A]), NAME)
    registry = registry_of(host)
    with pytest.raises(NotFound, match="is not here for linux/s390x"):
        await push(host, platform="linux/s390x")
    assert registry.asked == []


async def test_a_digest_to_push_to_must_be_the_images_own(host: ImageHost) -> None:
    made = Made([A], compress=True)
    await host.load(made, NAME)
    registry = registry_of(host)
    await push(host, to=f"registry.example/app@{made.root.digest}")
    assert list(registry.manifests) == [f"app@{made.root.digest}"]
    with pytest.raises(InvalidArgument, match="cannot be pushed"):
        await push(host, to=f"registry.example/app@{Digest.of(b'other')}")


async def test_wrong_words_are_refused_before_anything_is_asked(host: ImageHost) -> None:
    await host.load(Made([A]), NAME)
    registry = registry_of(host)
    with pytest.raises(InvalidArgument, match="unknown compression 'lzma'"):
        await push(host, compression="lzma")
    with pytest.raises(NotFound, match="No such image: none:1"):
        await push(host, "none:1")
    assert registry.asked == []


def plain(data: bytes) -> bytes:
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    reader = decompressing(io.BytesIO(data))
    return b"".join(iter(lambda: reader.read(1 << 20), b""))


async def test_an_id_is_pushed_only_to_where_somebody_says(host: ImageHost) -> None:
    """It would read as a repository of Docker Hub."""
    made = Made([A], compress=True)
    await host.load(made, NAME)
    registry = registry_of(host)
    name = Digest(made.image_id).hex[:12]
    with pytest.raises(NotFound, match="No such image") as raised:
        await push(host, name, f"docker.io/library/{name}:latest")
    assert "say where to push" in raised.value.hint
    assert registry.asked == []
    pushed, _ = await push(host, name, "registry.example/other:1")
    assert pushed.root == made.root
