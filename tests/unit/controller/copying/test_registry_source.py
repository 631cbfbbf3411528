"""Images of a registry as a source of copies, and archives that are made of them here."""

from __future__ import annotations

import asyncio
import json
import tarfile
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from jackstay.copying import registry_source
from jackstay.copying.archiving import Format, write_images
from jackstay.copying.platform_choice import alone
from jackstay.copying.registry_source import RegistrySource
from jackstay.copying.sources import RangeSource
from jackstay.errors import InvalidDocument, LimitExceeded, NotFound, RegistryFailed, UsageError
from jackstay_oci import media_types, platforms
from jackstay_oci.archives.archive import open_archive
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from tests.unit.controller.copying.memory_registry import MemoryRegistry

LAYER = b"layer" * 1000


@pytest.fixture
def registry() -> MemoryRegistry:
    """``app:1`` of one platform, ``multi:1`` of two, whose images share a layer."""
    registry = MemoryRegistry()
    registry.put("app", [LAYER, b"top"], tag="1")
    children = {name: registry.put("multi", [LAYER, name.encode()], architecture=name) for name in ("amd64", "arm64")}
    registry.index("multi", "1", children)
    return registry


async def test_an_image_is_its_documents_and_its_blobs(registry: MemoryRegistry) -> None:
    source: RangeSource = RegistrySource(registry)
    (image,) = await source.images(["registry.example/app:1"])
    assert (image.names, image.event, image.pulled) == (("registry.example/app:1",), "pull", True)
    assert source.via == "relay"
    assert {blob.digest for blob in image.blobs} == {image.root.digest, *map(str, registry.blobs["app"])}
    for blob in image.blobs:
        data = b"".join([piece async for piece in source.read(blob.digest, 1, blob.size - 1)])
        assert len(data) == blob.size - 1
    document = b"".join([piece async for piece in source.read(image.root.digest, 0, image.root.size)])
    assert Digest.of(document) == image.root.digest
    assert [line for line in registry.asked if line.startswith("GET")] == ["GET app 1"]
    with pytest.raises(NotFound, match="belongs to no image"):
        _ = [piece async for piece in source.read(str(Digest.of(b"arm64")), 0, 5)]
    await source.close()
    assert registry.closed == 1


async def test_an_image_by_digest_is_called_by_it(registry: MemoryRegistry) -> None:
    digest = registry.manifests["app"]["1"].descriptor.digest
    (image,) = await RegistrySource(registry).images([f"registry.example/app:9@{digest}"])
    assert (image.names, image.root.digest) == ((f"registry.example/app@{digest}",), digest)


async def test_of_an_index_all_that_is_there_or_one_platform(registry: MemoryRegistry) -> None:
    (whole,) = await RegistrySource(registry).images(["registry.example/multi:1"])
    assert len(whole.manifests) == 2
    assert len(whole.blobs) == 1 + 2 + 2 + 3

    registry.asked.clear()
    arm = RegistrySource(registry, platforms.parse("arm64"))
    (image,) = await arm.images(["registry.example/multi:1"])
    assert len(registry.asked) == 2  # the index and the one manifest
    assert len(image.blobs) == 1 + 1 + 1 + 2
    single = await alone(arm, image.wanting("linux/arm64"))
    assert (single.root.media_type, single.root.digest) == (media_types.OCI_MANIFEST, image.manifests[0])

    with pytest.raises(NotFound, match="no manifest for linux/s390x") as error:
        await RegistrySource(registry, platforms.parse("s390x")).images(["registry.example/multi:1"])
    assert error.value.hint == "it is for linux/amd64, linux/arm64"

    del registry.manifests["multi"][whole.manifests[1]]
    (part,) = await RegistrySource(registry).images(["registry.example/multi:1"])
    assert part.manifests == whole.manifests[:1]
    del registry.manifests["multi"][whole.manifests[0]]
    with pytest.raises(NotFound, match="has no image of"):
        await RegistrySource(registry).images(["registry.example/multi:1"])


async def test_what_other_servers_have_is_left_out(registry: MemoryRegistry) -> None:
    there = registry.blob("app", b"here", media_types.OCI_LAYER) | {"urls": ["https://far.example/a"]}
    away = registry.blob("other", b"away", media_types.OCI_FOREIGN_LAYER) | {"urls": ["https://far.example/b"]}
    config = registry.blob("app", b"{}", media_types.OCI_CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "config": config, "layers": [there, away]}
    registry.document("app", manifest, "2")
    (image,) = await RegistrySource(registry).images(["registry.example/app:2"])
    assert {blob.digest for blob in image.blobs} == {image.root.digest, config["digest"], there["digest"]}


async def test_what_is_refused(registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    source = RegistrySource(registry)
    with pytest.raises(UsageError, match=r"not in registry\.example"):
        await source.images(["other.example/app:1"])
    with pytest.raises(UsageError, match="by their names"):
        await source.images()
    one = registry.put("multi", [b"x"])
    lying = Descriptor(media_type=one.media_type, digest=one.digest, size=one.size + 1)
    registry.index("multi", "lying", {"amd64": lying})
    with pytest.raises(InvalidDocument, match="is not what the index"):
        await source.images(["registry.example/multi:lying"])
    deep = registry.index("multi", "deep", {"amd64": one})
    for _ in range(registry_source.MAX_DEPTH):
        deep = registry.index("multi", "deep", {"amd64": deep})
    with pytest.raises(InvalidDocument, match="inside indexes"):
        await source.images(["registry.example/multi:deep"])
    monkeypatch.setattr(registry_source, "MAX_DOCUMENTS", 1000)
    with pytest.raises(LimitExceeded, match="more than 1000 bytes"):
        await RegistrySource(registry).images(["registry.example/multi:1"])


@pytest.mark.parametrize("format", ["docker", "oci"])
async def test_an_archive_is_made_of_what_comes(registry: MemoryRegistry, format: Format, tmp_path: Path) -> None:
    source = RegistrySource(registry)
    images = await source.images(["registry.example/multi:1", "registry.example/app:1"])
    file = tmp_path / "images.tar"
    out = bytearray()

    async def write(piece: bytes | memoryview) -> None:
        out.extend(piece)

    await write_images(source, images, format, "", write)
    file.write_bytes(out)
    with tarfile.open(file) as tar:
        names = tar.getnames()
        assert ("manifest.json" in names) == (format == "docker")
        index = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]
    assert [entry["digest"] for entry in index["manifests"]] == sorted(
        (image.root.digest for image in images), key=lambda digest: digest != images[1].root.digest
    )
    with await asyncio.to_thread(open_archive, file) as archive:
        for image in images:
            for blob in image.blobs:
                assert archive.size(Digest.parse(blob.digest)) == blob.size


@pytest.mark.parametrize("when", ["the registry fails", "cancelled"])
async def test_an_archive_that_breaks_off_leaves_no_thread(registry: MemoryRegistry, when: str) -> None:
    source = RegistrySource(registry)
    images = await source.images(["registry.example/app:1"])
    waiting = asyncio.Event()

    async def broken(repository: str, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        yield LAYER[:1]
        waiting.set()
        if when == "cancelled":
            await asyncio.Event().wait()
        raise RegistryFailed("the connection broke")

    registry.read = broken  # type: ignore[method-assign]

    async def write(piece: bytes | memoryview) -> None:
        """Nobody keeps it."""

    writing = asyncio.create_task(write_images(source, images, "oci", "", write))
    await waiting.wait()
    if when == "cancelled":
        writing.cancel()
    with pytest.raises(asyncio.CancelledError if when == "cancelled" else RegistryFailed):
        await writing
