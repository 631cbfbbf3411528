"""Which published ports the agent holds, by container; `hold` says what holding one is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import structlog

from jackstay_agent.errors import Error, PortTaken
from jackstay_agent.metadata import networks as rows
from jackstay_agent.metadata.database import Database
from jackstay_agent.metadata.networks import PortRow
from jackstay_agent.networks.attachment import BoundPort, WantedPort
from jackstay_agent.networks.hold import HeldPort, hold

log = structlog.get_logger()


class HeldPorts:
    """The ports that are held; `held` has them by the container's id."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.held: dict[str, list[HeldPort]] = {}

    async def hold(self, container: str, publish: Iterable[WantedPort]) -> tuple[BoundPort, ...]:
        """Hold *publish* for *container*, instead of what it held; what was bound, in the same order.

        On an error, which is one of `hold.hold`, `release` is the caller's to call.
        """
        self.release(container)
        held = self.held[container] = []
        for port in publish:
            try:
                held.append(hold(port))
            except PortTaken as error:
                holder = await self._holder(port)
                if holder is None:
                    raise
                raise PortTaken(
                    f"{error.message} by the container {holder}", hint="stop that one, or publish another port"
                ) from error
        return tuple(each.port for each in held)

    async def _holder(self, port: WantedPort) -> str | None:
        return await self._database.read(lambda c: _holder(c, port))

    def hold_again(self, ports: Sequence[PortRow]) -> None:
        """Hold exactly *ports*, without letting go those that are held already; one that cannot be held is logged."""
        wanted = {(port.container, bound_port(port)) for port in ports}
        for container, held in list(self.held.items()):
            _close(each for each in held if (container, each.port) not in wanted)
            self.held[container] = [each for each in held if (container, each.port) in wanted]
        for port in ports:
            held = self.held.setdefault(port.container, [])
            if any(each.port == bound_port(port) for each in held):
                continue
            try:
                held.append(hold(port))
            except Error as error:
                # Its packets still go to the container; only the kernel's register of ports says otherwise.
                log.warning("a published port cannot be held", container=port.container, error=error.message)

    def release(self, container: str) -> None:
        """Let *container*'s ports go."""
        _close(self.held.pop(container, []))

    def release_all(self) -> None:
        """Let every port go."""
        for container in list(self.held):
            self.release(container)


def bound_port(row: PortRow) -> BoundPort:
    """The port of *row*."""
    return BoundPort(row.host_ip, row.host_port, row.container_port, row.protocol)


def _holder(connection: sqlite3.Connection, port: WantedPort) -> str | None:
    """The name of a container that has published *port*."""
    for row in rows.ports(connection):
        if (row.protocol, row.host_port) == (port.protocol, port.host_port):
            return rows.endpoints(connection, container=row.container)[0].name
    return None


def _close(held: Iterable[HeldPort]) -> None:
    for each in held:
        each.close()
