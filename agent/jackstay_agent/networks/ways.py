"""The ways that packets take to containers: what `service` and `membership` change them with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from weakref import WeakValueDictionary

from jackstay_agent.events.event import Record, unrecorded
from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.kernel.programs import Programs
from jackstay_agent.metadata import networks as rows
from jackstay_agent.metadata.database import Database
from jackstay_agent.metadata.networks import EndpointRow, NetworkRow, PortRow
from jackstay_agent.networks import dns_files
from jackstay_agent.networks.attachment import BoundPort, WantedPort
from jackstay_agent.networks.filter import PacketFilter
from jackstay_agent.networks.names import Names
from jackstay_agent.networks.ports import HeldPorts

NETLINK = "jackstay_agent.networks.netlink"
"""Where the jobs that change links are."""

_FLOWS = "jackstay_agent.networks.flows"

Places = tuple[list[EndpointRow], dict[str, NetworkRow]]
"""Of one container, in the order of its interfaces, and every network by its id."""


class Ways:
    """The database, and what follows it: links in *folder*'s namespaces, held ports, packet filter, names."""

    def __init__(self, run_dir: str, database: Database, jobs: Jobs, programs: Programs) -> None:
        self.folder = os.path.join(run_dir, "netns")
        self.database = database
        self.jobs = jobs
        self.ports = HeldPorts(database, jobs)
        self.filter = PacketFilter(database, programs)
        self.names = Names(database, programs, run_dir)
        self.record: Record = unrecorded
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def lock(self, container: str) -> asyncio.Lock:
        """Who changes *container*'s ways holds it."""
        return self._locks.setdefault(container, asyncio.Lock())

    async def places(self, container: str) -> Places:
        """Where *container* is."""
        return await self.database.read(
            lambda c: (rows.endpoints(c, container=container), {row.id: row for row in rows.networks(c)})
        )

    async def publish(self, container: str, address: str, publish: Sequence[WantedPort]) -> None:
        """Publish *publish* of a container that runs, instead of what it has published."""
        bound = await self.ports.hold(container, address, publish)
        ports = [port_row(container, port) for port in bound]
        await self.database.write("networks.publish", lambda c: rows.set_ports(c, container, ports))
        await self.filter.apply()
        await self.forget_flows(bound)

    async def forget_flows(self, bound: Iterable[BoundPort]) -> None:
        """Let the kernel translate anew what comes to the ports *bound*."""
        if datagrams := [[port.host_ip, port.host_port] for port in bound if port.protocol == "udp"]:
            await self.jobs.run(f"{_FLOWS}:forget_ports", datagrams)

    async def rename(self, places: Iterable[EndpointRow], networks: Mapping[str, NetworkRow]) -> None:
        """Let others know names that have come or gone in *places*."""
        if any(dns_files.has_names(networks[place.network]) for place in places):
            await self.names.follow()

    def nameservers(self, places: Sequence[EndpointRow], networks: Mapping[str, NetworkRow]) -> tuple[str, ...]:
        """Whom a container with *places* asks for names: the host, in networks that have names; () if it cannot."""
        if not self.names.serves:
            return ()
        named = [networks[place.network] for place in places if dns_files.has_names(networks[place.network])]
        # An internal one passes nothing on, so it is asked last.
        return tuple(network.gateway for network in sorted(named, key=lambda network: network.internal)[:3])

    def tell(self, action: str, container: str, network: NetworkRow) -> None:
        """Record that *container* did *action* to *network*: "connect" or "disconnect"."""
        told = {"container": container, "name": network.name, "type": network.driver}
        self.record("network", action, network.id, told)


def port_row(container: str, port: BoundPort) -> PortRow:
    """The row of a port that is held; its address follows from the container's places."""
    return PortRow(container, port.host_ip, port.host_port, port.container_port, port.protocol, "")
