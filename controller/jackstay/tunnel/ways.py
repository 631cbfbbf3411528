"""The two ways from an SSH connection to an agent's socket.

``direct``: the SSH server connects to the socket (``direct-streamlocal@openssh.com``). ``dial``: a session runs
``jackstayd dial-stdio``, which joins its standard streams to the socket, for servers that forbid the first or hosts on
which only ``sudo`` may open the socket.
"""

from __future__ import annotations

import os
import shlex
from typing import Any

import asyncssh

from jackstay.errors import Unreachable
from jackstay.inventory.host import AGENT_SOCKET, Host
from jackstay.tunnel import registry_socket
from jackstay.tunnel.ends import MARK, DialEnd, LaneEnd, RemoteEnd
from jackstay.tunnel.far import FarEnd
from jackstay.tunnel.lane import SUFFIX

NO_PROGRAM, NO_SOCKET, DENIED = 67, 68, 69  # exit codes of the script below
MAX_PACKET = 32 * 1024  # larger packets gain nothing: sshd reads 32 KiB at a time


def dial_command(socket: str, *, sudo: bool, registry: bool = False) -> str:
    """The command line of a ``dial`` session, for any login shell; with ``registry`` to the socket beside ``socket``.

    It tells by its exit code what is missing, and prints the mark right before the agent's bytes begin.
    """
    argument = "" if socket == AGENT_SOCKET else f" --socket {shlex.quote(socket)}"
    if registry:
        argument, socket = f"{argument} --registry", registry_socket.beside(socket)
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
    """Opens far sides on one SSH connection, in the way that works there; with ``registry`` to the agent's registry."""

    def __init__(
        self, connection: asyncssh.SSHClientConnection, host: Host, user: str, window: int, *, registry: bool = False
    ) -> None:
        self._connection = connection
        self._host = host
        self.user = user
        self._window = window
        self._registry = registry
        self._socket = registry_socket.beside(host.socket) if registry else host.socket
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

    async def open_lane(self) -> LaneEnd | None:
        """A new lane, of which nobody speaks when there is no way for one."""
        if self._dials:
            return None
        try:
            _, end = await self._connection.create_unix_connection(
                LaneEnd, self._host.socket + SUFFIX, encoding=None, window=self._window, max_pktsize=MAX_PACKET
            )
        except asyncssh.Error:
            return None
        assert isinstance(end, LaneEnd)
        return end

    async def _open(self) -> RemoteEnd:
        if self._dials:
            return await self._dial(None)
        try:
            _, end = await self._connection.create_unix_connection(
                RemoteEnd, self._socket, encoding=None, window=self._window, max_pktsize=MAX_PACKET
            )
        except asyncssh.ChannelOpenError as refusal:
            if self._connection.is_closed():
                raise self.lost() from None
            end = await self._dial(refusal)  # OpenSSH says the same for "forbidden" and for "nobody listens"
            self._dials = True
        except asyncssh.Error:
            raise self.lost() from None
        assert isinstance(end, RemoteEnd)
        return end

    async def _dial(self, refusal: asyncssh.ChannelOpenError | None) -> DialEnd:
        """Run ``dial-stdio``; ``refusal`` is what became of the direct way."""
        factory: Any = DialEnd
        try:
            channel, session = await self._connection.create_session(
                factory,
                dial_command(self._host.socket, sudo=self._host.sudo, registry=self._registry),
                encoding=None,
                window=self._window,
                max_pktsize=MAX_PACKET,
            )
        except (asyncssh.ChannelOpenError, asyncssh.Error):
            if self._connection.is_closed():
                raise self.lost() from None
            raise self._neither(refusal, "") from None
        end: Any = session
        assert isinstance(end, DialEnd)
        try:
            if not await end.ready:
                raise self._explain(end, refusal)
        except BaseException:
            channel.close()
            raise
        return end

    def ended(self, end: FarEnd, error: Exception | None) -> None:
        """Note why a far side ended, when that says something about the agent."""
        if error is not None:
            self.failure = self.lost()
        elif isinstance(end, DialEnd) and end.exit_code:
            said = end.said or f"jackstayd dial-stdio ended with exit code {end.exit_code}"
            self.failure = self._no_sudo(said) if said.startswith("sudo:") else self._no_agent(said)

    def _explain(self, end: DialEnd, refusal: asyncssh.ChannelOpenError | None) -> Unreachable:
        """Why a session ended before its mark."""
        if end.exit_code == NO_SOCKET:
            return self._no_agent(f"there is no socket {self._socket}")
        if end.exit_code == DENIED:
            return Unreachable(
                f"user {self.user} may not open the agent's socket on {self._host.name}",
                hint=f"add the user to the group jackstay there (usermod -aG jackstay {self.user}), "
                "or set `sudo = true` for the host in the inventory",
                kind="forwarding",
            )
        if end.exit_code == NO_PROGRAM:
            return self._no_agent("jackstayd is not installed") if refusal is None else self._neither(refusal, "")
        return self._neither(refusal, end.said)

    def _neither(self, refusal: asyncssh.ChannelOpenError | None, said: str) -> Unreachable:
        """Both ways failed; ``said`` is what the session had to say."""
        said = f" ({said})" if said else ""
        if refusal is None or refusal.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
            return Unreachable(
                f"the SSH server of {self._host.name} lets user {self.user} not reach the agent{said}",
                hint="allow AllowStreamLocalForwarding in its sshd_config, or the command `jackstayd dial-stdio`",
                kind="forwarding",
            )
        return Unreachable(  # OpenSSH does not tell "forbidden" from "nobody listens"
            f"the agent's socket {self._socket} on {self._host.name} cannot be reached{said}",
            hint="does jackstayd run there (systemctl start jackstayd)? and does its sshd_config allow "
            "AllowStreamLocalForwarding, or the command `jackstayd dial-stdio`?",
            kind="no-agent",
        )

    def _no_sudo(self, said: str) -> Unreachable:
        return Unreachable(
            f"user {self.user} may not run jackstayd with sudo on {self._host.name}: {said}",
            hint="allow it without a password there (visudo): "
            f"{self.user} ALL=(root) NOPASSWD: /usr/local/bin/jackstayd dial-stdio"
            f"{' --registry' if self._registry else ''}",
            kind="forwarding",
        )

    def _no_agent(self, reason: str) -> Unreachable:
        if self._registry:
            return Unreachable(
                f"the agent of {self._host.name} serves no registry: {reason}",
                hint="does jackstayd run there, and is it as new as this jackstay? (jackstay version)",
                kind="no-agent",
            )
        return Unreachable(
            f"jackstayd is not running on {self._host.name}: {reason}",
            hint="on that host: systemctl start jackstayd (see why it is down: journalctl -u jackstayd)",
            kind="no-agent",
        )

    def lost(self) -> Unreachable:
        """The error for an SSH connection that has ended."""
        return Unreachable(
            f"the SSH connection to {self._host.name} was lost",
            hint="the host or the network between went away; try again",
            kind="lost",
        )
