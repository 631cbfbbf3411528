"""What every source of ranges guarantees (`fetch.source.Source`), on each implementation."""

from __future__ import annotations

import asyncio
import io
import itertools
import tarfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jackstay_agent.errors import SourceFailed
from jackstay_agent.fetch.archive import ArchiveSource
from jackstay_agent.fetch.registry import RegistrySource
from jackstay_agent.fetch.source import Source
from jackstay_agent.rpc.sources.controller import ControllerSource
from jackstay_oci.archives.archive import open_archive
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.registry.registry import Document
from jackstay_proto.v1.images_pb2 import FetchReply, FetchRequest, RangeData, RangeFailed
from tests.unit.agent.images.memory_registry import MemoryRegistry

LAYER = bytes(range(253)) * 60_000
DIGEST = Digest.of(LAYER)


def archive(path: Path) -> Path:
    """An OCI archive whose one layer is `LAYER`."""
    config = msgspec.json.encode(
        {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [str(DIGEST)]}}
    )
    manifest = msgspec.json.encode(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", LAYER)],
        }
    )
    index = {"schemaVersion": 2, "manifests": [descriptor("application/vnd.oci.image.manifest.v1+json", manifest)]}
    with tarfile.open(path, "w") as tar:
        files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": msgspec.json.encode(index)}
        files |= {f"blobs/sha256/{Digest.of(data).hex}": data for data in (config, manifest, LAYER)}
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}


class Laptop:
    """The other end of a `ControllerSource`: answers what is wanted, from memory, in pieces of 64 KiB."""

    def __init__(self) -> None:
        self.source = ControllerSource("laptop", self.send)
        self._answers: set[asyncio.Task[None]] = set()

    async def send(self, reply: FetchReply) -> None:
        task = asyncio.create_task(self._answer(reply))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _answer(self, reply: FetchReply) -> None:
        wanted = reply.wanted
        if wanted.digest != str(DIGEST) or wanted.offset + wanted.length > len(LAYER):
            failed = RangeFailed(request=wanted.request, message="laptop: no such range")
            await self.source.deliver(FetchRequest(failed=failed))
            return
        for offset in range(wanted.offset, wanted.offset + wanted.length, 1 << 16):
            data = LAYER[offset : min(offset + (1 << 16), wanted.offset + wanted.length)]
            await self.source.deliver(FetchRequest(data=RangeData(request=wanted.request, data=data)))


def registry_source(clock: Callable[[], float] = time.monotonic) -> RegistrySource:
    """A repository that has `LAYER`; its root does not matter here."""
    registry = MemoryRegistry(blobs={DIGEST: LAYER})
    index = b'{"schemaVersion":2,"manifests":[]}'
    root = Descriptor(media_type="application/vnd.oci.image.index.v1+json", digest=Digest.of(index), size=len(index))
    return RegistrySource(registry, registry.name, "app", Document(root, index), clock)  # type: ignore[arg-type]


@pytest.fixture(params=["archive", "controller", "registry", "slow registry"])
async def source(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Source]:
    if request.param == "archive":
        opened = await asyncio.to_thread(open_archive, archive(tmp_path / "image.tar"))
        yield ArchiveSource(opened, "image.tar")
        opened.close()
    elif request.param == "registry":
        yield registry_source()
    elif request.param == "slow registry":
        seconds = itertools.count()
        yield registry_source(lambda: float(next(seconds)))
    else:
        yield Laptop().source


async def read(source: Source, digest: Digest, offset: int, length: int) -> list[bytes]:
    return [piece async for piece in source.read(digest, offset, length)]


async def test_a_range_is_exactly_what_was_asked_for(source: Source) -> None:
    for offset, length in ((0, len(LAYER)), (0, 1), (1_500_001, 1_234_567), (len(LAYER) - 1, 1)):
        pieces = await read(source, DIGEST, offset, length)
        assert b"".join(pieces) == LAYER[offset : offset + length]
        assert max(map(len, pieces)) <= 1 << 20


async def test_several_ranges_at_once(source: Source) -> None:
    ranges = [(number * 100_000, 600_000) for number in range(20)]
    results = await asyncio.gather(*(read(source, DIGEST, offset, length) for offset, length in ranges))
    for (offset, length), pieces in zip(ranges, results, strict=True):
        assert b"".join(pieces) == LAYER[offset : offset + length]


async def test_a_blob_that_it_lacks(source: Source) -> None:
    with pytest.raises(SourceFailed):
        await read(source, Digest.of(b"nothing"), 0, 10)


async def test_a_range_past_the_end(source: Source) -> None:
    with pytest.raises(SourceFailed):
        await read(source, DIGEST, len(LAYER) - 10, 20)


async def test_its_name_says_who_it_is(source: Source) -> None:
    assert source.name in ("image.tar", "laptop", "registry.example")


async def test_a_reader_that_stops_early_holds_nobody_up() -> None:
    laptop = Laptop()
    stopped = laptop.source.read(DIGEST, 0, len(LAYER))
    await anext(stopped)
    await stopped.aclose()
    assert b"".join(await read(laptop.source, DIGEST, 5, 500_000)) == LAYER[5:500_005]


async def test_readers_of_a_lost_controller_fail_now_and_later() -> None:
    async def silent(reply: FetchReply) -> None:
        pass

    source = ControllerSource("laptop", silent)
    reading = asyncio.create_task(read(source, DIGEST, 0, 10))
    await asyncio.sleep(0)
    source.lose()
    with pytest.raises(SourceFailed, match="went away"):
        await reading
    with pytest.raises(SourceFailed, match="went away"):
        await read(source, DIGEST, 0, 10)


async def test_a_controller_that_sends_too_much_is_refused() -> None:
    async def send(reply: FetchReply) -> None:
        await source.deliver(FetchRequest(data=RangeData(request=reply.wanted.request, data=b"x" * 11)))

    source = ControllerSource("laptop", send)
    with pytest.raises(SourceFailed, match="more of"):
        await read(source, DIGEST, 0, 10)
