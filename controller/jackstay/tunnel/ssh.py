"""The tunnel through SSH: one connection to the host, a bridge on it, and the lease on its bastion."""

from __future__ import annotations

import asyncio
import socket
from types import TracebackType
from typing import Self

import asyncssh

from jackstay.errors import Unreachable
from jackstay.inventory.host import Host
from jackstay.tunnel.bastions import Bastion, bastions
from jackstay.tunnel.bridge import Bridge
from jackstay.tunnel.exposure import Exposure, Told, open_exposure
from jackstay.tunnel.failures import explain
from jackstay.tunnel.lane import Lane
from jackstay.tunnel.login import login, plan_login
from jackstay.tunnel.settings import TunnelSettings
from jackstay.tunnel.ways import Ways

GOODBYE = 2.0  # seconds for an orderly end of the SSH connection


class SSHTunnel:
    """A :class:`~jackstay.tunnel.tunnel.Tunnel` through SSH."""

    def __init__(
        self,
        connection: asyncssh.SSHClientConnection,
        bastion: Bastion | None,
        bridge: Bridge,
        ways: Ways,
        host: Host,
        settings: TunnelSettings,
    ) -> None:
        self._connection = connection
        self._bastion = bastion
        self._bridge = bridge
        self._ways = ways
        self._host = host
        self._settings = settings
        self._exposures: list[Exposure] = []
        self.connection = connection

    @property
    def socket_path(self) -> str:
        """Where the bridge listens."""
        return self._bridge.path

    @property
    def failure(self) -> Unreachable | None:
        """Why the way is broken, as far as SSH knows."""
        return self._ways.failure

    @property
    def dials(self) -> bool:
        """Whether ``jackstayd dial-stdio`` is used, the SSH server's own forwarding being refused."""
        return self._ways.dials

    async def open_lane(self) -> Lane | None:
        """See `Tunnel.open_lane`; there is none where the SSH server's own forwarding is refused."""
        return await self._ways.open_lane()

    async def expose_registry(self, listener: socket.socket, told: Told) -> Exposure:
        """See `Tunnel.expose_registry`."""
        ways = Ways(self.connection, self._host, self._ways.user, self._settings.window, registry=True)

        async def broken() -> Unreachable:
            await self.connection.wait_closed()
            return self._ways.lost()

        exposure = await open_exposure(ways, listener, told, broken)
        self._exposures.append(exposure)
        return exposure

    async def close(self) -> None:
        """End the bridge, the connection, and the lease on the bastion, even when one of them fails to."""
        try:
            for exposure in self._exposures:
                await exposure.close()
            await self._bridge.close()
        finally:
            await hang_up(self._connection, self._bastion)
            self._bastion = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def open_ssh(host: Host, settings: TunnelSettings) -> SSHTunnel:
    """As :func:`jackstay.tunnel.tunnel.open_tunnel`, for a host that is reached through SSH."""
    plan = await plan_login(host, settings)
    bastion: Bastion | None = None
    connection: asyncssh.SSHClientConnection | None = None
    try:
        async with asyncio.timeout(settings.connect_timeout):
            if plan.jumps:
                bastion = await bastions().lease(plan.jumps, host, settings)
            connection = await login(plan, settings, bastion.connection if bastion else None)
            ways = Ways(connection, host, plan.attempt.user, settings.window)
            bridge = Bridge(ways, await ways.open())
            await bridge.start()
            return SSHTunnel(connection, bastion, bridge, ways, host, settings)
    except BaseException as error:
        await hang_up(connection, bastion)
        if isinstance(error, TimeoutError):
            raise explain(error, plan.attempt) from None
        raise


async def hang_up(connection: asyncssh.SSHClientConnection | None, bastion: Bastion | None) -> None:
    """Close a connection, by force when the other side does not follow, then give up its bastion."""
    try:
        if connection is not None:
            connection.close()
            try:
                async with asyncio.timeout(GOODBYE):
                    await connection.wait_closed()
            except TimeoutError:
                connection.abort()
                await connection.wait_closed()
    finally:
        if bastion is not None:
            await bastion.release()
