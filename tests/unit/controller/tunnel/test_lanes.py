"""Lanes through the tunnels: every byte arrives, a slow reader slows the writer, and where there is none it is said."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jackstay.inventory.host import local_host
from jackstay.tunnel import open_tunnel
from jackstay.tunnel.lane import SUFFIX, Lane
from jackstay.tunnel.ssh import SSHTunnel
from jackstay.tunnel.tunnel import Tunnel

MIB = 1 << 20


class Slow:
    """Reads one lane, once it may."""

    def __init__(self) -> None:
        self.may_read = asyncio.Event()
        self.got = bytearray()
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.may_read.wait()
        try:
            while data := await reader.read(MIB):
                self.got += data
        except ConnectionError:
            pass
        finally:
            writer.close()
            self.ended.set()


@asynccontextmanager
async def reader_at(path: str) -> AsyncIterator[Slow]:
    slow = Slow()
    server = await asyncio.start_unix_server(slow.serve, path + SUFFIX, limit=MIB)
    try:
        yield slow
    finally:
        slow.may_read.set()
        server.close()
        await server.wait_closed()
        await asyncio.to_thread(Path(path + SUFFIX).unlink, missing_ok=True)


@pytest.fixture(params=["ssh", "local"])
async def tunnel(request: pytest.FixtureRequest, lab: Any) -> AsyncIterator[Tunnel]:
    host = lab.host() if request.param == "ssh" else local_host(lab.agent.socket)
    async with await open_tunnel(host, lab.settings()) as opened:
        yield opened


async def test_all_bytes_arrive_and_a_slow_reader_is_waited_for(tunnel: Tunnel, lab: Any) -> None:
    piece = os.urandom(MIB)
    written = 0

    async def write(lane: Lane) -> None:
        nonlocal written
        for _ in range(40):
            await lane.write(piece)
            written += 1

    async with reader_at(lab.agent.socket) as reader:
        lane = await tunnel.open_lane()
        assert lane is not None
        writing = asyncio.create_task(write(lane))
        await asyncio.sleep(0.3)
        assert written < 20, "nothing holds the writer back"
        reader.may_read.set()
        await writing
        while len(reader.got) < 40 * MIB:
            await asyncio.sleep(0.01)
        lane.close()
        lane.close()
        await reader.ended.wait()
    assert reader.got == piece * 40


async def test_where_nobody_listens_there_is_none(tunnel: Tunnel) -> None:
    assert await tunnel.open_lane() is None


async def until_it_fails(lane: Lane) -> None:
    for _ in range(200):
        await asyncio.wait_for(lane.write(bytes(MIB)), 10)
        await asyncio.sleep(0.01)


async def test_a_reader_who_leaves_ends_the_writing(tunnel: Tunnel, lab: Any) -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.transport.abort()

    server = await asyncio.start_unix_server(leave, lab.agent.socket + SUFFIX)
    try:
        lane = await tunnel.open_lane()
        assert lane is not None
        with pytest.raises(OSError, match=r"closed|[Bb]roken|reset"):
            await until_it_fails(lane)
        lane.close()
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.to_thread(os.unlink, lab.agent.socket + SUFFIX)


async def test_a_way_that_dials_has_no_lanes(lab: Any) -> None:
    lab.forward = False
    async with await open_tunnel(lab.host(), lab.settings()) as tunnel, reader_at(lab.agent.socket):
        assert isinstance(tunnel, SSHTunnel)
        assert tunnel.dials
        assert await tunnel.open_lane() is None


async def test_no_empty_packets_go_between(lab: Any) -> None:
    async with await open_tunnel(lab.host(), lab.settings()) as tunnel, reader_at(lab.agent.socket) as reader:
        assert isinstance(tunnel, SSHTunnel)
        lane = await tunnel.open_lane()
        assert lane is not None
        reader.may_read.set()
        send = tunnel.connection._send
        packets = 0

        def counted(data: bytes) -> None:
            nonlocal packets
            packets += 1
            send(data)

        tunnel.connection._send = counted  # type: ignore[method-assign]
        await lane.write(bytes(MIB))
        while len(reader.got) < MIB:
            await asyncio.sleep(0.01)
        assert 32 <= packets < 45, packets
        lane.close()
