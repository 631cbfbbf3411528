"""The far side of one connection to an agent: an SSH channel, as the near side sees it.

Bytes are handed on in the callback that brings them. A far side reads nothing until it is joined to a near side.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncssh

from jackstay.tunnel.far import Near

if TYPE_CHECKING:
    from asyncssh import DataType

MARK = b"jackstay-dial\n"
"""What a ``dial-stdio`` session prints right before the agent's bytes begin."""

LAST_CALL = 0.3
"""Seconds between the end of a session's output and the end that the near side sees."""


class RemoteEnd(asyncssh.SSHUNIXSession[bytes]):
    """The far side of one connection: an open SSH channel that reads nothing until it is joined to a near side."""

    def __init__(self) -> None:
        self._near: Near | None = None
        self._channel: Any = None
        self.closed = False

    def connection_made(self, chan: Any) -> None:
        """Keep the channel; the agent's first bytes wait in it."""
        self._channel = chan

    def session_started(self) -> None:
        """Hold the agent's bytes back until somebody takes them."""
        if self._near is None:
            self._channel.pause_reading()

    def join(self, near: Near) -> None:
        """Let bytes flow."""
        self._near = near
        self._channel.resume_reading()

    def data_received(self, data: bytes, datatype: DataType) -> None:
        """Bytes of the agent."""
        if self._near and datatype is None:
            self._near.write(data)

    def eof_received(self) -> bool:
        """The agent writes no more; our direction stays open."""
        if self._near:
            self._near.write_eof()
        return True

    def pause_writing(self) -> None:
        """The channel is full: read no more from the near side."""
        if self._near:
            self._near.pause_reading()

    def resume_writing(self) -> None:
        """The channel has room again."""
        if self._near:
            self._near.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone, and with it the near side."""
        self.closed = True
        if self._near:
            self._near.remote_lost(exc)

    def write(self, data: bytes) -> None:
        """Send to the agent; what does not fit is kept and :meth:`pause_writing` called.

        Dropped when the channel is closing: the near side is told so soon.
        """
        if not self._channel.is_closing():
            self._channel.write(data)

    def write_eof(self) -> None:
        """Tell the agent that nothing follows."""
        if not self.closed:
            self._channel.write_eof()

    def pause_reading(self) -> None:
        """Take no more bytes; the window stops the agent."""
        if not self.closed:
            self._channel.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes again."""
        if not self.closed:
            self._channel.resume_reading()

    def close(self) -> None:
        """Close the channel, both directions."""
        if not self.closed:
            self._channel.close()


class DialEnd(RemoteEnd):
    """The far side of a ``dial-stdio`` session: bytes count from the mark on; what it says on stderr is kept."""

    def __init__(self) -> None:
        super().__init__()
        self._before = b""
        self.ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.complaint = ""
        self._last_call: asyncio.TimerHandle | None = None
        self.exit_code: int | None = None

    def session_started(self) -> None:
        """Read on: the mark comes first."""

    def data_received(self, data: bytes, datatype: DataType) -> None:
        """Bytes of the agent, once the mark has passed; noise of a login shell before it is dropped."""
        if datatype == asyncssh.EXTENDED_DATA_STDERR:
            self.complaint = (self.complaint + data.decode(errors="replace"))[-2000:]
            return
        if not self.ready.done():
            before, mark, data = (self._before + data).partition(MARK)
            if not mark:
                self._before = before[-len(MARK) :]
                return
            self.ready.set_result(True)
            self._channel.pause_reading()
            self._before = data
            return
        if self._near:
            self._near.write(data)
        else:
            self._before += data

    def join(self, near: Near) -> None:
        """Let bytes flow, first those that came with the mark."""
        if self._before:
            near.write(self._before)
            self._before = b""
        super().join(near)

    def eof_received(self) -> bool:
        """The agent writes no more, or the program has failed: its exit code follows at once if so.

        Waiting for it a moment lets :meth:`Ways.ended` know the reason before the near side sees the end.
        """
        self._last_call = asyncio.get_running_loop().call_later(LAST_CALL, super().eof_received)
        return True

    @property
    def said(self) -> str:
        """The first line of its complaint, printable."""
        line = next(iter(self.complaint.strip().splitlines()), "").removeprefix("Error: ")
        return "".join(c if c.isprintable() else "?" for c in line)[:300]

    def exit_status_received(self, status: int) -> None:
        """Keep the exit code."""
        self.exit_code = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """A session killed by a signal has no exit code."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The session has ended."""
        if self._last_call:
            self._last_call.cancel()
        if not self.ready.done():
            self.ready.set_result(False)
        super().connection_lost(exc)


class LaneEnd(asyncssh.SSHUNIXSession[bytes]):
    """The far side of a lane: implements `lane.Lane` on a channel of its own."""

    def __init__(self) -> None:
        self._channel: Any = None
        self._open = asyncio.Event()  # whether the channel takes more
        self._open.set()
        self._closed = False

    def connection_made(self, chan: Any) -> None:
        """Keep the channel."""
        self._channel = chan

    def pause_writing(self) -> None:
        """The channel is full."""
        self._open.clear()

    def resume_writing(self) -> None:
        """The channel has room again."""
        self._open.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone."""
        self._closed = True
        self._open.set()

    async def write(self, data: bytes) -> None:
        """See `Lane.write`."""
        await self._open.wait()
        if self._closed:
            raise ConnectionResetError("the lane was closed")
        self._channel.write(data)

    def close(self) -> None:
        """See `Lane.close`."""
        if not self._closed:
            self._channel.abort()
