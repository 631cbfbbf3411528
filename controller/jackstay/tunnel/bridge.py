"""A Unix socket here whose every connection is carried to the agent there, with back-pressure in both directions.

Written on protocols and not on streams: each byte is handed on in the callback that brought it. When one side cannot
take more, the other is not read; each direction ends by itself (half-close). Only this user can reach the socket: it
lies in a folder of mode 0700.
"""

from __future__ import annotations

import asyncio
import os
from typing import cast

from jackstay.errors import Unreachable
from jackstay.tunnel.far import FarEnd, FarEnds
from jackstay.tunnel.private_folder import PrivateFolder

HIGH_WATER = 1024 * 1024  # bytes kept for a local reader before the SSH channel is no longer read

_TURNS = 3
"""Turns of the loop until a connection that was accepted in this one has come to us and, aborted, is gone."""


class NearEnd(asyncio.Protocol):
    """One accepted local connection. It is not read until its far side is open."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._transport: asyncio.Transport | None = None
        self._remote: FarEnd | None = None
        self._early: list[bytes] = []  # read before the far side was open
        self._early_eof = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept, and ask for the far side."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER)
        self._transport.pause_reading()
        self._bridge.accepted(self)

    @property
    def ends(self) -> tuple[tuple[str, int], tuple[str, int]] | None:
        """Of a TCP connection: where it comes from, and where to."""
        if self._transport is None:
            return None
        return self._transport.get_extra_info("peername"), self._transport.get_extra_info("sockname")

    def join(self, remote: FarEnd) -> None:
        """The far side is open: let bytes flow."""
        if self._transport is None or self._transport.is_closing():
            remote.close()
            return
        self._remote = remote
        remote.join(self)
        self.resume_reading()
        for data in self._early:  # joined before: too much of it stops the reading again
            remote.write(data)
        self._early.clear()
        if self._early_eof:
            remote.write_eof()

    def data_received(self, data: bytes) -> None:
        """Bytes for the agent."""
        if self._remote:
            self._remote.write(data)
        else:  # some versions of Python begin to read although `connection_made` has paused
            self._early.append(data)
            self.pause_reading()

    def eof_received(self) -> bool:
        """The local side writes no more; the agent's answer may still come."""
        if self._remote:
            self._remote.write_eof()
        self._early_eof = self._remote is None
        return True

    def pause_writing(self) -> None:
        """The local side reads too slowly: stop the agent."""
        if self._remote:
            self._remote.pause_reading()

    def resume_writing(self) -> None:
        """The local side has caught up."""
        if self._remote:
            self._remote.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The local side is gone, and with it the far side."""
        self._transport = None
        self._bridge.dropped(self)
        if self._remote:
            self._remote.close()

    def write(self, data: bytes) -> None:
        """Bytes of the agent; dropped when nobody is there any more to read them."""
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)

    def write_eof(self) -> None:
        """The agent writes no more."""
        if self._transport and not self._transport.is_closing() and self._transport.can_write_eof():
            self._transport.write_eof()

    def remote_lost(self, error: Exception | None) -> None:
        """The far side is gone: close once what it sent is delivered."""
        if self._remote:
            self._bridge.remote_ended(self._remote, error)
        if self._transport:
            self._transport.close()

    def pause_reading(self) -> None:
        """Called by the far side when the agent cannot take more."""
        if self._transport and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Called by the far side when the agent can take more."""
        if self._transport and not self._transport.is_closing():
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close now, dropping what is not delivered."""
        if self._transport:
            self._transport.abort()


class Bridge:
    """The listening socket and every connection through it. ``first`` is a far side that is open already."""

    def __init__(self, ways: FarEnds, first: FarEnd | None = None) -> None:
        self._ways = ways
        self._first = first
        self._folder: PrivateFolder | None = None
        self._server: asyncio.Server | None = None
        self._closing = False
        self._near: set[NearEnd] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.path = ""

    async def start(self) -> None:
        """Listen. Raises :class:`OSError`."""
        self._folder = await _make_folder()
        self.path = os.path.join(self._folder.path, "agent")
        try:
            loop = asyncio.get_running_loop()
            # In two steps: cancelled in one, asyncio would forget the socket that listens already.
            self._server = await loop.create_unix_server(lambda: NearEnd(self), self.path, start_serving=False)
            await self._server.start_serving()
        except BaseException:
            await self.close()
            raise

    def accepted(self, near: NearEnd) -> None:
        """Find the far side of a new connection; one that comes while this closes is closed too."""
        if self._closing:
            near.abort()
            return
        self._near.add(near)
        first, self._first = self._first, None
        if first is not None and not first.closed:
            near.join(first)
            return
        task = asyncio.get_running_loop().create_task(self._join(near))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def dropped(self, near: NearEnd) -> None:
        """Forget a connection that has ended."""
        self._near.discard(near)

    def remote_ended(self, remote: FarEnd, error: Exception | None) -> None:
        """Note why a far side has ended."""
        self._ways.ended(remote, error)

    def failed(self, error: Unreachable) -> None:
        """A far side could not be opened."""

    async def close(self) -> None:
        """Stop listening, end every connection, remove the socket. May be called again."""
        self._closing = True
        if self._server:
            # What was accepted in this turn of the loop must come to its server before that is closed: else asyncio
            # drops it without closing it (CPython issue 109564, open).
            for listener in self._server.sockets:
                asyncio.get_running_loop().remove_reader(listener)
            await asyncio.sleep(0)
            self._server.close()
            self._server = None
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for near in list(self._near):
            near.abort()
        if self._first:
            self._first.close()
            self._first = None
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        if self._folder:
            folder, self._folder = self._folder, None
            await asyncio.shield(asyncio.to_thread(folder.remove))

    async def _join(self, near: NearEnd) -> None:
        try:
            near.join(await self._ways.open())
        except Unreachable as error:  # kept by the ways; the local side sees a closed connection
            self.failed(error)
            near.abort()
        except BaseException:
            near.abort()
            raise


async def _make_folder() -> PrivateFolder:
    """A private folder; when the caller is cancelled while a thread makes it, it is removed again."""
    making = asyncio.ensure_future(asyncio.to_thread(PrivateFolder.make))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        folder = await making
        await asyncio.to_thread(folder.remove)
        raise
