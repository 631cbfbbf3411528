"""The agent on this machine: its socket itself, without SSH."""

from __future__ import annotations

import asyncio
import socket
from types import TracebackType
from typing import Self

from jackstay.errors import Unreachable
from jackstay.inventory.host import Host


class LocalTunnel:
    """A :class:`~jackstay.tunnel.tunnel.Tunnel` of length zero; there is nothing to close."""

    def __init__(self, path: str) -> None:
        self.socket_path = path
        self.failure: Unreachable | None = None

    async def close(self) -> None:
        """Nothing: the socket is the agent's."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def open_local(host: Host) -> LocalTunnel:
    """Make sure that somebody accepts on the socket. Raises :class:`~jackstay.errors.Unreachable`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(probe, host.socket)
        except PermissionError:
            raise Unreachable(
                f"this user may not open the agent's socket {host.socket}",
                hint="run as root, or join the group jackstay",
                kind="forwarding",
            ) from None
        except OSError as error:
            raise Unreachable(
                f"jackstayd is not running on this machine: {host.socket}: {error.strerror or error}",
                hint="start it (systemctl start jackstayd), name other hosts with -H, or add one: jackstay host add",
                kind="no-agent",
            ) from None
    return LocalTunnel(host.socket)
