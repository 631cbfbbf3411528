"""The two ways from an SSH connection to an agent's socket.

``direct``: the SSH server connects to the socket (``direct-streamlocal@openssh.com``). ``dial``: a session runs
``jackstayd dial-stdio``, which joins its standard streams to the socket, for servers that forbid the first or hosts on
which only ``sudo`` may open the socket.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from typing import TYPE_CHECKING, Any, Protocol

import asyncssh

from jackstay.errors import Unreachable
from jackstay.inventory.host import AGENT_SOCKET, Host

if TYPE_CHECKING:
    from asyncssh import DataType

MARK = b"jackstay-dial\n"
NO_PROGRAM, NO_SOCKET, DENIED = 67, 68, 69  # exit codes of the script below
LAST_CALL = 0.3  # seconds between the end of a session's output and the end that the near side sees
MAX_PACKET = 32 * 1024  # larger packets gain nothing: sshd reads 32 KiB at a time


class Near(Protocol):
    """The local side of a pair, as the remote side sees it."""

    def write(self, data: bytes) -> None:
        """Bytes of the agent."""

    def write_eof(self) -> None:
        """The agent writes no more."""

    def remote_lost(self, error: Exception | None) -> None:
        """The channel is gone; with an error when the SSH connection is."""

    def pause_reading(self) -> None:
        """The channel takes no more."""

    def resume_reading(self) -> None:
        """The channel takes more again."""


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
        """Send to the agent; what does not fit is kept and :meth:`pause_writing` called."""
        if not self.closed:
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


def dial_command(socket: str, *, sudo: bool) -> str:
    """The command line of a ``dial`` session, for any login shell.

    It tells by its exit code what is missing, and prints the mark right before the agent's bytes begin.
    """
    argument = "" if socket == AGENT_SOCKET else f" --socket {shlex.quote(socket)}"
    path, folder = shlex.quote(socket), shlex.quote(os.path.dirname(socket))
    lines = ["PATH=$PATH:/usr/local/bin:/opt/jackstay/bin"]
    if not sudo:
        lines += [
            f"if [ -d {folder} ] && [ ! -x {folder} ]; then exit {DENIED}; fi",
            f"if [ ! -S {path} ]; then exit {NO_SOCKET}; fi",
            f"if [ ! -w {path} ]; then exit {DENIED}; fi",
        ]
    lines += [
        f"command -v jackstayd >/dev/null || exit {NO_PROGRAM}",
        f"printf '{MARK.decode().rstrip()}\\n'",
        f"exec {'sudo -n ' if sudo else ''}jackstayd dial-stdio{argument}",
    ]
    return f"exec sh -c {shlex.quote('; '.join(lines))}"


class Ways:
    """Opens far sides on one SSH connection, in the way that works there."""

    def __init__(self, connection: asyncssh.SSHClientConnection, host: Host, user: str, window: int) -> None:
        self._connection = connection
        self._host = host
        self._user = user
        self._window = window
        self._dials = host.sudo
        self.failure: Unreachable | None = None  # the last one; cleared by a success

    @property
    def dials(self) -> bool:
        """Whether sessions are used instead of the SSH server's own forwarding."""
        return self._dials

    async def open(self) -> RemoteEnd:
        """A new connection to the agent. Raises :class:`~jackstay.errors.Unreachable`."""
        try:
            end = await self._open()
        except Unreachable as error:
            self.failure = error
            raise
        self.failure = None
        return end

    async def _open(self) -> RemoteEnd:
        if self._dials:
            return await self._dial(None)
        try:
            _, end = await self._connection.create_unix_connection(
                RemoteEnd, self._host.socket, encoding=None, window=self._window, max_pktsize=MAX_PACKET
            )
        except asyncssh.ChannelOpenError as refusal:
            if self._connection.is_closed():
                raise self._lost() from None
            end = await self._dial(refusal)  # OpenSSH says the same for "forbidden" and for "nobody listens"
            self._dials = True
        except asyncssh.Error:
            raise self._lost() from None
        assert isinstance(end, RemoteEnd)
        return end

    async def _dial(self, refusal: asyncssh.ChannelOpenError | None) -> DialEnd:
        """Run ``dial-stdio``; ``refusal`` is what became of the direct way."""
        factory: Any = DialEnd
        try:
            channel, session = await self._connection.create_session(
                factory,
                dial_command(self._host.socket, sudo=self._host.sudo),
                encoding=None,
                window=self._window,
                max_pktsize=MAX_PACKET,
            )
        except (asyncssh.ChannelOpenError, asyncssh.Error):
            if self._connection.is_closed():
                raise self._lost() from None
            raise self._neither(refusal) from None
        end: Any = session
        assert isinstance(end, DialEnd)
        try:
            if not await end.ready:
                raise self._explain(end, refusal)
        except BaseException:
            channel.close()
            raise
        return end

    def ended(self, end: RemoteEnd, error: Exception | None) -> None:
        """Note why a far side ended, when that says something about the agent."""
        if error is not None:
            self.failure = self._lost()
        elif isinstance(end, DialEnd) and end.exit_code:
            said = " ".join(end.complaint.split())
            self.failure = self._no_agent(said or f"jackstayd dial-stdio ended with exit code {end.exit_code}")

    def _explain(self, end: DialEnd, refusal: asyncssh.ChannelOpenError | None) -> Unreachable:
        if end.exit_code == NO_SOCKET:
            return self._no_agent(f"there is no socket {self._host.socket}")
        if end.exit_code == DENIED:
            return Unreachable(
                f"user {self._user} may not open the agent's socket on {self._host.name}",
                hint=f"add the user to the group jackstay there (usermod -aG jackstay {self._user}), "
                "or set `sudo = true` for the host in the inventory",
                kind="forwarding",
            )
        if end.exit_code == NO_PROGRAM and refusal is None:
            return self._no_agent("jackstayd is not installed")
        if end.complaint and end.exit_code != NO_PROGRAM:
            return self._no_agent(" ".join(end.complaint.split()))
        return self._neither(refusal)

    def _neither(self, refusal: asyncssh.ChannelOpenError | None) -> Unreachable:
        if refusal is not None and refusal.code == asyncssh.OPEN_CONNECT_FAILED:
            return self._no_agent(f"{self._host.socket} does not accept connections")
        return Unreachable(
            f"the SSH server of {self._host.name} forbids both forwarding to the agent's socket and running jackstayd",
            hint="allow AllowStreamLocalForwarding in its sshd_config, or the command `jackstayd dial-stdio`",
            kind="forwarding",
        )

    def _no_agent(self, reason: str) -> Unreachable:
        return Unreachable(
            f"jackstayd is not running on {self._host.name}: {reason}",
            hint="on that host: systemctl start jackstayd (see why it is down: journalctl -u jackstayd)",
            kind="no-agent",
        )

    def _lost(self) -> Unreachable:
        return Unreachable(
            f"the SSH connection to {self._host.name} was lost",
            hint="the host or the network between went away; try again",
            kind="lost",
        )
