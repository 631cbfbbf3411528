"""The agent on this machine: its socket itself, without SSH."""

from __future__ import annotations

import asyncio
import socket
from types import TracebackType
from typing import TYPE_CHECKING, Self

from jackstay.errors import Unreachable
from jackstay.inventory.host import Host, local_host
from jackstay.tunnel import local_agent, registry_socket
from jackstay.tunnel.lane import SUFFIX, Lane, SocketLane

if TYPE_CHECKING:
    from jackstay.tunnel.exposure import Exposure, Told


class LocalTunnel:
    """A :class:`~jackstay.tunnel.tunnel.Tunnel` of length zero."""

    def __init__(self, path: str) -> None:
        self.socket_path = path
        self.failure: Unreachable | None = None
        self._exposures: list[Exposure] = []

    async def open_lane(self) -> Lane | None:
        """See `Tunnel.open_lane`."""
        try:
            return await SocketLane.open(self.socket_path + SUFFIX)
        except OSError:
            return None

    async def expose_registry(self, listener: socket.socket, told: Told) -> Exposure:
        """See `Tunnel.expose_registry`. It lasts as long as the caller wants: an agent may come back."""
        from jackstay.tunnel.exposure import open_exposure
        from jackstay.tunnel.local_registry import LocalRegistry

        async def broken() -> Unreachable:
            never: asyncio.Future[Unreachable] = asyncio.get_running_loop().create_future()
            return await never

        async def revive() -> None:
            await open_local(local_host(self.socket_path))

        ways = LocalRegistry(registry_socket.beside(self.socket_path), revive)
        exposure = await open_exposure(ways, listener, told, broken)
        self._exposures.append(exposure)
        return exposure

    async def close(self) -> None:
        """End what was opened through it; the socket is the agent's."""
        for exposure in self._exposures:
            await exposure.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def open_local(host: Host) -> LocalTunnel:
    """Make sure that somebody accepts on the socket; an agent is started where one can be.

    Raises:
        Unreachable: nobody does.
    """
    try:
        return await _connect(host)
    except Unreachable as error:
        if error.kind != "no-agent" or not local_agent.can_start(host.socket):
            raise
    return await _start(host)


async def _start(host: Host) -> LocalTunnel:
    """Start the agent and wait until it accepts; the caller bounds the time."""
    try:
        agent = await local_agent.start()
    except OSError as error:
        raise Unreachable(
            f"jackstayd could not be started on this machine: {error}", hint="start it by hand", kind="no-agent"
        ) from None
    while True:
        try:
            return await _connect(host)
        except Unreachable:
            # Another command may have started one just before; then ours has ended, and theirs is about to listen.
            if (told := await asyncio.to_thread(agent.failed)) is not None and "another agent runs" not in told:
                raise Unreachable(
                    f"jackstayd could not be started on this machine: {told}",
                    hint=f"its log is {local_agent.LOG}; name other hosts with -H",
                    kind="no-agent",
                ) from None
        await asyncio.sleep(0.02)


async def _connect(host: Host) -> LocalTunnel:
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
