"""The registry of the agent on this machine: far sides that are connections to its socket, without SSH."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from jackstay.errors import Unreachable
from jackstay.tunnel.bridge import HIGH_WATER
from jackstay.tunnel.far import FarEnd, Near


class LocalEnd(asyncio.Protocol):
    """A far side: implements `far.FarEnd`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._near: Near | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read nothing yet: nothing is said before somebody asks."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER)
        self._transport.pause_reading()

    def join(self, near: Near) -> None:
        """See `far.FarEnd.join`."""
        self._near = near
        self.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Bytes of the registry."""
        if self._near:
            self._near.write(data)

    def eof_received(self) -> bool:
        """The registry writes no more."""
        if self._near:
            self._near.write_eof()
        return True

    def pause_writing(self) -> None:
        """The registry reads too slowly."""
        if self._near:
            self._near.pause_reading()

    def resume_writing(self) -> None:
        """The registry has caught up."""
        if self._near:
            self._near.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The registry is gone."""
        self.closed, self._transport = True, None
        if self._near:
            self._near.remote_lost(None)

    def write(self, data: bytes) -> None:
        """See `far.FarEnd.write`."""
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)

    def write_eof(self) -> None:
        """See `far.FarEnd.write_eof`."""
        if self._transport and not self._transport.is_closing():
            self._transport.write_eof()

    def pause_reading(self) -> None:
        """See `far.FarEnd.pause_reading`."""
        if self._transport and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """See `far.FarEnd.resume_reading`."""
        if self._transport and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """See `far.FarEnd.close`."""
        if self._transport:
            self._transport.abort()


class LocalRegistry:
    """Opens connections to the socket *path*: implements `far.FarEnds`.

    *revive* starts an agent that has stopped because it was idle; it raises `Unreachable` where none can be started.
    """

    def __init__(self, path: str, revive: Callable[[], Awaitable[None]]) -> None:
        self._path = path
        self._revive = revive
        self.failure: Unreachable | None = None

    async def open(self) -> LocalEnd:
        """See `far.FarEnds.open`."""
        try:
            try:
                end = await self._connect()
            except OSError:
                await self._revive()
                end = await self._connect()
        except Unreachable as error:
            self.failure = error
            raise
        except OSError as error:
            self.failure = Unreachable(
                f"the agent of this machine serves no registry: {self._path}: {error.strerror or error}",
                hint="is it as new as this jackstay? (jackstay version)",
                kind="no-agent",
            )
            raise self.failure from None
        self.failure = None
        return end

    async def _connect(self) -> LocalEnd:
        _, end = await asyncio.get_running_loop().create_unix_connection(LocalEnd, self._path)
        return end

    def ended(self, end: FarEnd, error: Exception | None) -> None:
        """Nothing: each connection is one of its own."""
