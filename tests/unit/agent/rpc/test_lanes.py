"""Lanes: whose they are, what they carry, how they end; and an image that comes on one, from the real controller."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from jackstay.client.agent import AgentClient
from jackstay.client.calls import Calls
from jackstay.client.messages import VersionReply
from jackstay.copying.copy import copy_to_agent
from jackstay.copying.sources import Blob, SourceImage
from jackstay.errors import AgentError
from jackstay.inventory.host import local_host
from jackstay.tunnel.local import LocalTunnel
from jackstay_agent.config import Limits
from jackstay_agent.errors import SourceFailed
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.metadata.database import Database
from jackstay_agent.rpc import lanes as lanes_module
from jackstay_agent.rpc.images import ImagesService
from jackstay_agent.rpc.lanes import Lanes
from jackstay_agent.rpc.sources.controller import ControllerSource
from jackstay_oci.digest import Digest
from jackstay_proto.v1.images_pb2 import FetchReply
from tests.unit.agent.images.image_host import ImageHost, Made, tar
from tests.unit.agent.rpc.served import served

NAME = "a" * 32
DIGEST = Digest.of(b"blob")
MIB = 1 << 20


def head(number: int, length: int) -> bytes:
    return struct.pack("<II", number, length)


@pytest.fixture
async def lanes(tmp_path: Path) -> AsyncIterator[Lanes]:
    serving = Lanes()
    await serving.serve(str(tmp_path / "s"))
    yield serving
    serving.close()


@asynccontextmanager
async def connected(folder: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(str(folder / "s"))
    try:
        yield reader, writer
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            pass


def source() -> ControllerSource:
    async def send(_reply: FetchReply) -> None:
        return

    return ControllerSource("laptop", send)


async def collect(wanting: ControllerSource, length: int) -> bytes:
    async with aclosing(wanting.read(DIGEST, 0, length)) as pieces:
        return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize("first", ["call", "lane"])
async def test_pieces_reach_their_ranges_whichever_comes_first(lanes: Lanes, tmp_path: Path, first: str) -> None:
    wanting = source()
    if first == "call":
        lanes.join(NAME, wanting)
    async with connected(tmp_path) as (_, writer):
        one, two = os.urandom(MIB), b"two"
        reading = [asyncio.create_task(collect(wanting, MIB)), asyncio.create_task(collect(wanting, 3))]
        await asyncio.sleep(0.05)
        writer.write(NAME.encode() + head(2, 3) + two + head(1, MIB // 2) + one[: MIB // 2] + head(77, 4) + b"none")
        writer.write(head(1, MIB // 2) + one[MIB // 2 :])
        if first == "lane":
            await asyncio.sleep(0.1)
            assert not any(task.done() for task in reading)
            lanes.join(NAME, wanting)
        assert await asyncio.gather(*reading) == [one, two]
        lanes.leave(NAME)


async def test_whoever_writes_waits_while_a_range_has_enough(lanes: Lanes, tmp_path: Path) -> None:
    wanting = source()
    lanes.join(NAME, wanting)
    async with connected(tmp_path) as (_, writer), aclosing(wanting.read(DIGEST, 0, 40 * MIB)) as pieces:
        beginning = asyncio.create_task(anext(pieces))
        await asyncio.sleep(0.05)
        writer.write(NAME.encode())
        for _ in range(40):
            writer.write(head(1, MIB) + bytes(MIB))
        await beginning
        await asyncio.sleep(0.3)
        assert writer.transport.get_write_buffer_size() > 30 * MIB  # type: ignore[attr-defined]
        assert sum([len(piece) async for piece in pieces]) == 39 * MIB


async def test_what_came_before_the_loss_is_handed_on_without_a_hole() -> None:
    wanting = source()
    got = []

    async def take(pieces: AsyncIterator[bytes | bytearray]) -> None:
        async for piece in pieces:
            got.append(piece)

    async with aclosing(wanting.read(DIGEST, 0, 9)) as pieces:
        beginning = asyncio.create_task(anext(pieces))
        await asyncio.sleep(0)
        wanting.take(1, b"0")
        got.append(await beginning)
        for piece in (b"1", b"2", b"3", b"4"):  # as many as wait for a slow reader
            wanting.take(1, piece)
        wanting.lose()
        wanting.lose()  # the lane and the stream both end
        with pytest.raises(SourceFailed, match="laptop went away"):
            await take(pieces)
    assert b"0123".startswith(b"".join(got))
    assert len(got) > 1


async def test_a_range_that_is_given_up_holds_nothing_back(lanes: Lanes, tmp_path: Path) -> None:
    wanting = source()
    lanes.join(NAME, wanting)
    async with connected(tmp_path) as (_, writer):
        async with aclosing(wanting.read(DIGEST, 0, 40 * MIB)) as pieces:
            beginning = asyncio.create_task(anext(pieces))
            await asyncio.sleep(0.05)
            writer.write(NAME.encode())
            for _ in range(20):
                writer.write(head(1, MIB) + bytes(MIB))
            await beginning
            await asyncio.sleep(0.1)
        reading = asyncio.create_task(collect(wanting, 2))
        await asyncio.sleep(0.05)
        writer.write(head(2, 2) + b"ok")
        assert await asyncio.wait_for(reading, 10) == b"ok"


@pytest.mark.parametrize("bad", [head(1, 0), head(1, MIB + 1), b""], ids=["nothing", "too much", "the end"])
async def test_a_lane_that_breaks_loses_its_source(lanes: Lanes, tmp_path: Path, bad: bytes) -> None:
    wanting = source()
    lanes.join(NAME, wanting)
    async with connected(tmp_path) as (reader, writer):
        reading = asyncio.create_task(collect(wanting, 10))
        await asyncio.sleep(0.05)
        writer.write(NAME.encode() + bad)
        if not bad:
            writer.write_eof()
        with pytest.raises(SourceFailed, match="laptop went away"):
            await asyncio.wait_for(reading, 10)
        assert await reader.read() == b""


async def test_a_lane_ends_with_its_call_and_a_name_is_of_one(lanes: Lanes, tmp_path: Path) -> None:
    lanes.join(NAME, source())
    async with connected(tmp_path) as (reader, writer), connected(tmp_path) as (second, other):
        writer.write(NAME.encode())
        await asyncio.sleep(0.05)
        other.write(NAME.encode())
        assert await asyncio.wait_for(second.read(), 10) == b""
        lanes.leave(NAME)
        assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_lanes_that_nobody_claims_end(lanes: Lanes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "_PATIENCE", 0.3)
    async with connected(tmp_path) as (silent, _), connected(tmp_path) as (named, writer):
        writer.write(NAME.encode())
        assert await asyncio.wait_for(named.read(), 10) == b""
        assert await asyncio.wait_for(silent.read(), 10) == b""
    assert lanes._here == {}


async def test_many_lanes_wait_for_their_calls(lanes: Lanes, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        for number in range(100):
            _, writer = await stack.enter_async_context(connected(tmp_path))
            writer.write(f"{number:032}".encode() + head(1, 3) + f"{number:03}".encode())
        while len(lanes._here) < 100:
            await asyncio.sleep(0.01)
        for number in range(100):
            wanting = source()
            reading = asyncio.create_task(collect(wanting, 3))
            await asyncio.sleep(0)
            lanes.join(f"{number:032}", wanting)
            assert await reading == f"{number:03}".encode()
            lanes.leave(f"{number:032}")


class FromMemory:
    """A source of the controller's that has the blobs of an image in memory."""

    name, via = "memory", "archive"

    def __init__(self, made: Made) -> None:
        self.root = made.root
        self.blobs = {str(digest): data for digest, data in made.blobs.items()}

    def image(self, name: str) -> SourceImage:
        root = Blob(str(self.root.digest), self.root.size, self.root.media_type)
        return SourceImage(root, (name,), tuple(Blob(digest, len(data)) for digest, data in self.blobs.items()))

    async def read(self, digest: str, offset: int, length: int) -> AsyncIterator[bytes]:
        for start in range(offset, offset + length, MIB):
            await asyncio.sleep(0)
            yield self.blobs[digest][start : min(start + MIB, offset + length)]


async def test_an_image_comes_on_a_lane(tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts) -> None:
    host = await asyncio.to_thread(ImageHost, tmp_path, database, jobs, mounts, Limits())
    lanes = Lanes()
    nothing: Any = None
    service = ImagesService(
        host.database,
        host.images,
        host.receiver,
        host.puller,
        host.pusher,
        host.saver,
        host.collector,
        host.room,
        "",
        nothing,
        lanes,
    )
    layers = [tar({f"file-{number}": os.urandom(3_000_000)}) for number in range(4)]
    memory = FromMemory(Made(layers))
    async with (
        served(tmp_path, lanes=lanes, images=service) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        tunnel = LocalTunnel(address.removeprefix("unix:"))
        agent = AgentClient(local_host(tunnel.socket_path), VersionReply(), tunnel, channel, Calls("web1"))
        fetched = await copy_to_agent(agent, memory, [memory.image("docker.io/library/web:1")])  # type: ignore[arg-type]
        assert fetched.done.bytes_sent == sum(map(len, memory.blobs.values()))
        over = {digest: fetched.wire[digest] - len(data) for digest, data in memory.blobs.items()}
        assert all(0 < more <= 8 * 4 for more in over.values()), over  # a head a piece, and no message of gRPC's
        assert lanes._joined == lanes._expected == {}
        gone = dict(memory.blobs)
        memory.blobs = {digest: b"" if len(data) > MIB else data for digest, data in gone.items()}
        await host.forget()
        await host.room.make()
        with pytest.raises(AgentError, match="memory has only 0 bytes"):
            await copy_to_agent(agent, memory, [memory.image("docker.io/library/web:1")])  # type: ignore[arg-type]
    await host.room.make()


async def test_a_path_too_long_for_a_socket_has_no_lanes(tmp_path: Path) -> None:
    lanes = Lanes()
    await lanes.serve(str(tmp_path / ("x" * 200)))
    lanes.close()
