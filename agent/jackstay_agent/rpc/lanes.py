"""Lanes: what a fetch brings as plain bytes on a socket of its own, beside the call that asks for it.

gRPC takes as much time for a layer as hashing, storing and unpacking it. A lane's bytes are read into the piece that is
handed on, and nothing else is done to them; everything but the bytes stays with the call (``FetchStart.lane``).
Guarantees: a lane belongs to one call and ends with it; when it breaks, the call's source is lost; a piece has at most
1 MiB, and while a range has enough of them the lane is not read, so that whoever writes waits. A lane that nobody
claims is closed after `_PATIENCE` seconds, and nothing but its name is read before. The socket lies beside the agent's,
and is for the same people.
"""

from __future__ import annotations

import asyncio
import os
import struct
from typing import cast

from jackstay_agent.rpc.sources.controller import PIECE, ControllerSource

SUFFIX = ".lane"
NAME = 32
_LONGEST_PATH = 107  # sun_path of unix(7), without the NUL
_HEAD = struct.Struct("<II")
_PATIENCE = 15.0


class Lanes:
    """The lanes of one agent. For the event loop's thread only."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._here: dict[str, _Lane] = {}  # came before their calls
        self._expected: dict[str, ControllerSource] = {}
        self._joined: dict[str, _Lane] = {}

    async def serve(self, path: str) -> None:
        """Accept on the Unix socket *path*, which must not exist. One that is too long for a socket has no lanes."""
        if len(os.fsencode(path)) > _LONGEST_PATH:
            return
        self._server = await asyncio.get_running_loop().create_unix_server(lambda: _Lane(self), path)

    def close(self) -> None:
        """Accept no more, and end every lane."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for lane in [*self._here.values(), *self._joined.values()]:
            lane.end()

    def join(self, name: str, source: ControllerSource) -> None:
        """The lane *name*, which is here or on its way, brings what *source* asks for."""
        lane = self._here.pop(name, None)
        if lane is None:
            self._expected[name] = source
        else:
            self._joined[name] = lane
            lane.join(source)

    def leave(self, name: str) -> None:
        """The call of the lane *name* is over."""
        self._expected.pop(name, None)
        lane = self._joined.pop(name, None)
        if lane is not None:
            lane.end()

    def arrived(self, name: str, lane: _Lane) -> None:
        """A lane has told its name."""
        source = self._expected.pop(name, None)
        if source is not None:
            self._joined[name] = lane
            lane.join(source)
        elif name in self._here or name in self._joined:
            lane.end()
        else:
            self._here[name] = lane

    def gone(self, name: str, lane: _Lane) -> None:
        """A lane has ended."""
        for lanes in (self._here, self._joined):
            if lanes.get(name) is lane:
                del lanes[name]


class _Lane(asyncio.BufferedProtocol):
    """One lane: its name, then pieces."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._transport: asyncio.Transport | None = None
        self._source: ControllerSource | None = None
        self._name = ""
        self._number = -1  # of the piece that is being read; -1 while a head is
        self._data = bytearray(NAME)
        self._filled = 0
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the name."""
        self._transport = cast(asyncio.Transport, transport)
        self._patience = asyncio.get_running_loop().call_later(_PATIENCE, self.end)

    def get_buffer(self, sizehint: int) -> memoryview:
        """What is still missing of what is being read."""
        return memoryview(self._data)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes came."""
        self._filled += nbytes
        if self._filled < len(self._data):
            return
        data, number = self._data, self._number
        self._filled, self._number = 0, -1
        if self._source is None:
            self._name = data.decode("ascii", "replace")
            self._data = bytearray(_HEAD.size)
            self.pause()
            self._lanes.arrived(self._name, self)
        elif number < 0:
            self._number, length = _HEAD.unpack(data)
            if not 0 < length <= PIECE:
                self.end()
                return
            self._data = bytearray(length)
        else:
            self._data = bytearray(_HEAD.size)
            self._source.take(number, data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side is gone, or the call is over."""
        self._transport = None
        self._forget_patience()
        self._lanes.gone(self._name, self)
        if self._source is not None:
            self._source.lose()

    def join(self, source: ControllerSource) -> None:
        """Bring what *source* asks for, from now on."""
        self._forget_patience()
        self._source = source
        source.brought_by(self)
        self.resume()

    def pause(self) -> None:
        """Read no more for now."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def end(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    def _forget_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
