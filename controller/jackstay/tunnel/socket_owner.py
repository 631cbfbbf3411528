"""Whose a connection of this machine's loopback is, as Linux tells it.

Whoever reaches a port that leads to an agent is root on its host, and the loopback is everybody's who is on this
machine. Elsewhere than on Linux nobody is told apart.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

TABLE = Path("/proc/net/tcp")
_UID = 7  # the column, proc(5)


def owner_of(near: tuple[str, int], far: tuple[str, int]) -> int | None:
    """The user id of the socket at the IPv4 address *near* that is connected to *far*; ``None`` where nobody says."""
    wanted = [_written(near), _written(far)]
    try:
        lines = TABLE.read_text().splitlines()[1:]
    except OSError:
        return None
    for line in lines:
        columns = line.split()
        if columns[1:3] == wanted:
            return int(columns[_UID])
    return None


def may_use(owner: int | None, user: int) -> bool:
    """Whether the connection of *owner* may use what *user* opened: it is theirs, or root's, as a daemon's is."""
    return owner in (None, 0, user)


def _written(address: tuple[str, int]) -> str:
    (number,) = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}"
