"""A lane: plain bytes to an agent, beside the calls. What goes over it is the business of `client.lanes`."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

SUFFIX = ".lane"
"""What is behind the name of the agent's socket in the name of its lanes' one."""

SEND_BUFFER = 1 << 20


class Lane(Protocol):
    """Bytes one way. Whoever opens it closes it."""

    async def write(self, data: bytes) -> None:
        """Send all of ``data``; waits while the other side takes no more.

        Raises:
            OSError: the lane is broken.
        """

    def close(self) -> None:
        """End it, whatever is under way. Closing twice is allowed."""


class SocketLane:
    """A lane to an agent on this machine."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    @classmethod
    async def open(cls, path: str) -> SocketLane:
        """Connect.

        Raises:
            OSError: nobody accepts there.
        """
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.setblocking(False)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            await asyncio.get_running_loop().sock_connect(connected, path)
        except BaseException:
            connected.close()
            raise
        return cls(connected)

    async def write(self, data: bytes) -> None:
        """See `Lane.write`."""
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    def close(self) -> None:
        """See `Lane.close`."""
        self._socket.close()
