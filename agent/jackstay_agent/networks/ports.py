"""Which published ports the agent holds, by container; `hold` says what holding one is, `proxied` what IPv6 needs."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from collections.abc import Iterable, Sequence

import structlog

from jackstay_agent.errors import Error, PortTaken
from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.kernel.threads import acquire
from jackstay_agent.metadata import networks as rows
from jackstay_agent.metadata.database import Database
from jackstay_agent.metadata.networks import PortRow
from jackstay_agent.networks.attachment import BoundPort, WantedPort
from jackstay_agent.networks.hold import HeldPort, hold
from jackstay_agent.networks.proxied import ProxiedPort

log = structlog.get_logger()


class _Publication:
    """A port that is held and, where it has an IPv6 side, passed on to its container's *address*."""

    def __init__(self, jobs: Jobs, held: HeldPort, address: str) -> None:
        self.port = held.port
        self.address = address
        self._held = held
        self._proxied = (
            ProxiedPort(jobs, held.listener, held.port.protocol, address, held.port.container_port)
            if held.listener is not None
            else None
        )

    @property
    def on_both(self) -> bool:
        """Whether it is held on every address, those of IPv6 too."""
        return not self.port.host_ip and self._held.listener is not None

    def close(self) -> None:
        if self._proxied is not None:
            self._proxied.close()
        self._held.close()

    async def closed(self) -> None:
        if self._proxied is not None:
            await self._proxied.closed()


class HeldPorts:
    """The ports that are held; `held` has them by the container's id."""

    def __init__(self, database: Database, jobs: Jobs) -> None:
        self._database = database
        self._jobs = jobs
        self.held: dict[str, list[_Publication]] = {}

    async def hold(self, container: str, address: str, publish: Iterable[WantedPort]) -> tuple[BoundPort, ...]:
        """Hold *publish* for *container* at *address*, instead of what it held; what was bound, in the same order.

        On an error, which is one of `hold.hold`, `release` is the caller's to call.
        """
        await self.release(container)
        held = self.held[container] = []
        for port in publish:
            try:
                held.append(_Publication(self._jobs, await _hold(port), address))
            except PortTaken as error:
                holder = None if port.host_port_end else await self._holder(port)
                if holder is None:
                    raise
                raise PortTaken(
                    f"{error.message} by the container {holder}", hint="stop that one, or publish another port"
                ) from error
        return tuple(each.port for each in held)

    async def _holder(self, port: WantedPort) -> str | None:
        return await self._database.read(lambda c: _holder(c, port))

    async def hold_again(self, ports: Sequence[PortRow]) -> None:
        """Hold exactly *ports*, without letting go those that are held already; one that cannot be held is logged."""
        wanted = {(port.container, port.address, bound_port(port)) for port in ports}
        for container, held in list(self.held.items()):
            kept = [each for each in held if (container, each.address, each.port) in wanted]
            self.held[container] = kept
            await _close(each for each in held if each not in kept)
        for port in ports:
            held = self.held.setdefault(port.container, [])
            if any(each.port == bound_port(port) for each in held):
                continue
            try:
                held.append(_Publication(self._jobs, hold(bound_port(port)), port.address))
            except Error as error:
                # Its IPv4 packets still go to the container; only the kernel's register of ports says otherwise.
                log.warning("a published port cannot be held", container=port.container, error=error.message)

    def shown(self, published: Iterable[PortRow]) -> list[PortRow]:
        """*published*, as docker tells of them: one on every address of both families once for each of these."""
        found = []
        for row in published:
            found.append(row)
            if any(each.on_both and each.port == bound_port(row) for each in self.held.get(row.container, ())):
                found.append(dataclasses.replace(row, host_ip="::"))
        return found

    async def release(self, container: str) -> None:
        """Let *container*'s ports go; on the return, others can have them."""
        await _close(self.held.pop(container, []))

    def release_all(self) -> None:
        """Let every port go, at the agent's end."""
        for held in self.held.values():
            for each in held:
                each.close()
        self.held.clear()


async def _hold(port: WantedPort) -> HeldPort:
    """`hold`; the ports of a range may be many, and all of them taken."""
    return await acquire(hold, HeldPort.close, port) if port.host_port_end else hold(port)


def bound_port(row: PortRow) -> BoundPort:
    """The port of *row*."""
    return BoundPort(row.host_ip, row.host_port, row.container_port, row.protocol)


def _holder(connection: sqlite3.Connection, port: WantedPort) -> str | None:
    """The name of a container that has published *port*."""
    for row in rows.ports(connection):
        if (row.protocol, row.host_port) == (port.protocol, port.host_port):
            return rows.endpoints(connection, container=row.container)[0].name
    return None


async def _close(held: Iterable[_Publication]) -> None:
    closing = list(held)
    for each in closing:
        each.close()
    await asyncio.gather(*(each.closed() for each in closing))
