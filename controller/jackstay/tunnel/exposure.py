"""A port of this machine's loopback whose every connection is carried to a host's registry."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

from jackstay.errors import Error, Unreachable
from jackstay.tunnel.bridge import Bridge, NearEnd
from jackstay.tunnel.far import FarEnds
from jackstay.tunnel.socket_owner import may_use, owner_of

Told = Callable[[Error], None]
"""Called with why one connection could not be carried; others may still be."""

_QUEUE = 64


class Exposure(Bridge):
    """A bridge that listens on TCP, for its user and root alone. Made by `open_exposure`; whoever does closes it."""

    def __init__(self, ways: FarEnds, told: Told, broken: Callable[[], Awaitable[Unreachable]]) -> None:
        super().__init__(ways)
        self._told = told
        self._broken = broken
        self.address = ""

    async def lost(self) -> Unreachable:
        """Wait until the way to the host is lost for good; why."""
        return await self._broken()

    async def listen(self, listener: socket.socket) -> None:
        """Accept on *listener*, which is closed with this."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: NearEnd(self), sock=listener, backlog=_QUEUE, start_serving=False
        )
        await self._server.start_serving()
        host, port = listener.getsockname()[:2]
        self.address = f"{host}:{port}"

    async def _join(self, near: NearEnd) -> None:
        """Carry the connection, unless it is another user's."""
        ends = near.ends
        owner = None if ends is None else await asyncio.to_thread(owner_of, *ends)
        if may_use(owner, os.geteuid()):
            await super()._join(near)
            return
        near.abort()
        self._told(Error(f"a connection of another user of this machine (uid {owner}) was refused"))

    def failed(self, error: Unreachable) -> None:
        """Say why a connection was closed: whoever made it sees only that it was."""
        self._told(error)


async def open_exposure(
    ways: FarEnds, listener: socket.socket, told: Told, broken: Callable[[], Awaitable[Unreachable]]
) -> Exposure:
    """Make sure that a registry answers there, then carry what comes to *listener*.

    Raises :class:`~jackstay.errors.Unreachable`; then *listener* stays the caller's.
    """
    (await ways.open()).close()
    exposure = Exposure(ways, told, broken)
    await exposure.listen(listener)
    return exposure
