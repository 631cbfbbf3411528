"""The bridge by itself, between plain sockets and far sides that only take note."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from dataclasses import dataclass, field

import pytest

from jackstay.errors import Unreachable
from jackstay.tunnel.bridge import Bridge
from jackstay.tunnel.far import FarEnd, Near


@dataclass
class Noted:
    """A far side: implements `far.FarEnd`."""

    closed: bool = False
    told: list[bytes] = field(default_factory=list)

    def join(self, near: Near) -> None:
        """See `far.FarEnd.join`."""

    def write(self, data: bytes) -> None:
        self.told.append(data)

    def write_eof(self) -> None:
        """See `far.FarEnd.write_eof`."""

    def pause_reading(self) -> None:
        """See `far.FarEnd.pause_reading`."""

    def resume_reading(self) -> None:
        """See `far.FarEnd.resume_reading`."""

    def close(self) -> None:
        self.closed = True


@dataclass
class NotedEnds:
    """Opens far sides after one turn of the loop: implements `far.FarEnds`."""

    opened: list[Noted] = field(default_factory=list)
    asked: int = 0
    failure: Unreachable | None = None

    async def open(self) -> FarEnd:
        self.asked += 1
        await asyncio.sleep(0)
        self.opened.append(Noted())
        return self.opened[-1]

    def ended(self, end: FarEnd, error: Exception | None) -> None:
        """See `far.FarEnds.ended`."""


@pytest.mark.parametrize("turns", range(7))
async def test_a_connection_made_while_it_closes_is_closed_too(turns: int) -> None:
    ways = NotedEnds()
    bridge = Bridge(ways)
    await bridge.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(bridge.path)
        client.send(b"hello")
        for _ in range(turns):
            await asyncio.sleep(0)
        await bridge.close()
        asked = ways.asked
        client.settimeout(0)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
    gc.collect()  # warns of a transport that was left open
    assert ways.asked == asked, "nothing is opened for it any more"
    assert all(end.closed for end in ways.opened)
