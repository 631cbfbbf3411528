"""One host, as the tunnel needs to know it: a value, with nothing resolved over the network."""

from __future__ import annotations

import os
from typing import Literal, NamedTuple

AGENT_SOCKET = "/run/jackstay/jackstayd.sock"
"""Where an agent listens unless told otherwise."""


class Host(NamedTuple):
    """A host to talk to.

    ``name`` is what the user calls it and what every output shows. What is ``None`` or empty is left to
    ``~/.ssh/config`` and to SSH's own defaults.
    """

    name: str
    address: str
    port: int | None = None
    user: str | None = None
    identity_files: tuple[str, ...] = ()  # absolute paths of private keys, tried instead of the default ones
    known_hosts: tuple[str, ...] = ()  # absolute paths; empty: ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts
    socket: str = AGENT_SOCKET  # of the agent, on that host
    kind: Literal["ssh", "local"] = "ssh"
    jump: str | None = None  # bastion, "[user@]host[:port]"; None: as ~/.ssh/config says
    sudo: bool = False  # reach the socket with `sudo -n jackstayd dial-stdio`

    def __str__(self) -> str:
        return self.name


def local_host(socket: str | None = None) -> Host:
    """The agent on this machine, without SSH; its socket is ``JACKSTAY_SOCKET`` where nothing else is said."""
    return Host(
        name="local",
        address="localhost",
        socket=socket or os.environ.get("JACKSTAY_SOCKET") or AGENT_SOCKET,
        kind="local",
    )
