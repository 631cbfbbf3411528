"""What SSH says about a connection that did not come about, as one clear line and what to do about it."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass

import asyncssh

from jackstay.errors import Unreachable


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried, for messages."""

    host: str  # the user's name for it
    address: str  # after ~/.ssh/config
    port: int
    user: str
    keys: tuple[str, ...] = ()  # files that were offered
    ssh_agent: str = ""  # path of its socket, or empty

    @property
    def where(self) -> str:
        """``web1``, or ``web1 (192.0.2.1 port 22)`` when the address is not the name."""
        if self.address == self.host and self.port == 22:
            return self.host
        return f"{self.host} ({self.address} port {self.port})"


def is_temporary(error: BaseException) -> bool:
    """Whether the server hung up before saying anything of substance, as sshd does over ``MaxStartups``."""
    return isinstance(error, ConnectionResetError | BrokenPipeError | asyncssh.ConnectionLost)


def explain(error: BaseException, attempt: Attempt) -> Unreachable:
    """The error for a failed connect or login. Host keys are explained where they are judged, not here."""
    where = attempt.where
    if isinstance(error, asyncssh.PermissionDenied):
        tried = [*attempt.keys, *([f"the SSH agent at {attempt.ssh_agent}"] if attempt.ssh_agent else [])]
        return Unreachable(
            f"{where} accepts no key of ours for user {attempt.user}",
            hint=f"tried: {', '.join(tried) or 'no key, for none was found'}; a key with a passphrase needs `ssh-add`, "
            f"another user or key is said with user@host, in the inventory or in ~/.ssh/config",
            kind="auth",
        )
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return Unreachable(
            f"the host key of {where} is not to be trusted: {error.reason}",
            hint="ask whoever runs that host before changing any known_hosts file",
            kind="host-key",
        )
    if isinstance(error, asyncssh.KeyExchangeFailed):
        if "host key" in str(error).lower():
            return Unreachable(
                f"{where} no longer has a host key of the kind that known_hosts remembers",
                hint=f"if its key was changed on purpose: ssh-keygen -R {_pattern(attempt.address, attempt.port)}",
                kind="host-key",
            )
        return Unreachable(
            f"{where} and this machine share no SSH algorithms: {error.reason}",
            hint="upgrade the SSH server, or name its algorithms in ~/.ssh/config",
            kind="refused",
        )
    if isinstance(error, socket.gaierror):
        return Unreachable(
            f"the name {attempt.address} has no address",
            hint="check the spelling, DNS, or set `address` in the inventory",
            kind="name",
        )
    if isinstance(error, asyncssh.ChannelOpenError):
        return Unreachable(
            f"{where} cannot be reached from its bastion: {error.reason}",
            hint="is the host up, and may the bastion forward connections to it?",
            kind="refused",
        )
    if isinstance(error, TimeoutError):
        return Unreachable(
            f"{where} did not answer in time",
            hint="is it up and reachable from here? wait longer with --connect-timeout",
            kind="timeout",
        )
    if is_temporary(error):
        return Unreachable(
            f"{where} closed the connection during login",
            hint="its sshd may be overloaded (MaxStartups) or shun this address (PerSourcePenalties); try again later",
            kind="refused",
        )
    if isinstance(error, OSError):
        if error.errno == errno.ETIMEDOUT:
            return explain(TimeoutError(), attempt)
        # asyncio's own words for errno are "Connect call failed ('192.0.2.1', 22)".
        reason = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else error.strerror or str(error)
        return Unreachable(
            f"{where} cannot be reached: {reason}",
            hint=f"is an SSH server listening there? try: ssh -p {attempt.port} {attempt.user}@{attempt.address}",
            kind="refused",
        )
    reason = error.reason if isinstance(error, asyncssh.Error) else str(error)
    return Unreachable(f"SSH with {where} failed: {reason}", hint=f"try: ssh {attempt.user}@{attempt.address}")


def _pattern(address: str, port: int) -> str:
    """The host as known_hosts files write it, quoted for a shell where it must be."""
    return address if port == 22 else f"'[{address}]:{port}'"
