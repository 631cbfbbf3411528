"""The containers' places in the networks of this host: who has which address, and the way packets take to a container.

Guarantees: the database says what is wanted, and links, namespaces, packet filter and held ports follow it; each change
is whole or undone; `recover` brings a host to that state from any other, as after a crash of the agent, a restart or a
reboot. Addresses stay with a container from create to rm, ports and links from `connect` to `disconnect`. Leaves to
others: which networks there are (`registry`), who lives (`containers`), what is done to links (`netlink`), how packets
are filtered (`ruleset`).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

import structlog

from jackstay_agent import config
from jackstay_agent.errors import Error, InvalidArgument
from jackstay_agent.events.event import Record, unrecorded
from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.kernel.programs import Programs
from jackstay_agent.metadata import networks as rows
from jackstay_agent.metadata.database import Database
from jackstay_agent.metadata.networks import EndpointRow, NetworkRow, PortRow
from jackstay_agent.networks import allocating, dns_files, documents, endpoints, observation, plan
from jackstay_agent.networks.attachment import Attachment, BoundPort, WantedEndpoint, WantedNetworks, WantedPort
from jackstay_agent.networks.filter import PacketFilter
from jackstay_agent.networks.names import Names
from jackstay_agent.networks.opening import OtherFirewalls
from jackstay_agent.networks.ports import HeldPorts, bound_port
from jackstay_agent.networks.recovering import Recovered, settle
from jackstay_agent.networks.registry import Registry

_FLOWS = "jackstay_agent.networks.flows"
_NETLINK = "jackstay_agent.networks.netlink"

log = structlog.get_logger()

Places = tuple[list[EndpointRow], dict[str, NetworkRow]]
"""Of one container, in the order of its interfaces, and every network by its id."""


class Networks:
    """Connects containers to networks. One object an agent; `recover` comes first."""

    def __init__(
        self, settings: config.Network, run_dir: str, database: Database, jobs: Jobs, programs: Programs
    ) -> None:
        self._folder = os.path.join(run_dir, "netns")
        self._database = database
        self._jobs = jobs
        self._ports = HeldPorts(database, jobs)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._filter = PacketFilter(database, programs)
        self._keeping: asyncio.Task[None] | None = None
        self.record: Record = unrecorded
        self.names = Names(database, programs, run_dir)
        self.registry = Registry(settings, database, jobs, self._filter)
        self.registry.record = self._record

    @property
    def other_firewalls(self) -> OtherFirewalls:
        """Those of this host that drop what is forwarded, and whether containers' packets pass."""
        return self._filter.others

    async def recover(self) -> None:
        """Bring the host's state to the database's, as at the agent's start: before `Containers.recover`. Idempotent.

        A container that the database calls living keeps its place while its link is there; the others lose theirs. What
        cannot be set up on this host is logged and no error, since images need no network; `connect` will then say it.
        From then on the packet filter is made again when somebody takes it away, until `close`. Raises
        `InvalidArgument` for a configuration that cannot work.
        """
        await self.registry.ensure()
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._filter.keep())
        bridges = [row for row in await self.registry.list() if row.driver == "bridge"]
        try:
            found = await self._jobs.run(f"{_NETLINK}:observe", [[row.bridge for row in bridges], self._folder])
            actual = observation.decode(found)
            for row in bridges:
                for link, address in plan.overlaps(row.subnet, actual.others):
                    log.warning(
                        "the network overlaps another one of this host",
                        network=row.name,
                        subnet=row.subnet,
                        link=link,
                        address=address,
                    )
            there = {name for name, _master in actual.interfaces}
            state: Recovered = await self._database.write("networks.recover", lambda c: settle(c, there))
            desired = plan.Desired(
                bridges=tuple(endpoints.bridge_of(row) for row in bridges),
                interfaces=state.interfaces,
                netns=frozenset(state.living),
            )
            steps = [[step.kind, step.subject, step.value] for step in plan.steps(desired, actual)]
            if steps:
                await self._jobs.run(f"{_NETLINK}:apply", [self._folder, steps])
            await self._ports.hold_again(state.ports)
            await self._filter.apply()
            await self.names.follow()
        except Error as error:
            log.warning("networks cannot be set up", error=error.message, hint=error.hint)

    def allocate(self, connection: sqlite3.Connection, container: str, settings: WantedNetworks) -> None:
        """See `allocating.allocate`."""
        allocating.allocate(connection, container, settings)

    async def connect(
        self, container: str, settings: WantedNetworks, publish: Sequence[WantedPort] = (), *, userns: str = ""
    ) -> Attachment:
        """Make *container*'s network namespace and publish *publish*; undone as a whole when any of it fails.

        On "host" and another container's network nothing is made, and on these, "none" and internal networks *publish*
        is not looked at, as docker does. What an earlier start left is replaced. *userns* is the path of the user
        namespace that it is to belong to, "" for the host's. Raises `PortTaken`, `InvalidArgument`, `Unsupported`
        without nft, `Error`.
        """
        if _shared(settings.network):
            return Attachment(None, settings.network)
        async with self._lock(container):
            places, networks = await self._places(container)
            try:
                return await self._connect(container, settings.network, places, networks, publish, userns)
            except BaseException:
                await asyncio.shield(self._undo(container, places))
                raise

    async def disconnect(self, container: str) -> None:
        """Undo `connect`. No error when there is nothing to undo."""
        async with self._lock(container):
            places, networks = await self._places(container)
            ports = await self._database.read(lambda c: rows.ports(c, container))
            await self._detach(container, places, bool(ports))
            for place in places:
                if place.active:
                    self._tell("disconnect", container, networks[place.network])

    async def join(self, container: str, text: str, wanted: WantedEndpoint, publish: Sequence[WantedPort] = ()) -> None:
        """Give *container* a place in one more network, *text*; at once, if it runs.

        *publish* are its ports, which it may be reached by now. Raises `NotFound`, `AlreadyExists`, `AddressTaken`,
        `InvalidArgument`, `PortTaken`.
        """
        async with self._lock(container):

            def add(connection: sqlite3.Connection) -> tuple[NetworkRow, bool]:
                network = allocating.find(connection, text)
                if network.driver != "bridge":
                    raise InvalidArgument(
                        f"a container cannot be connected to the network {network.name}", hint="create it there"
                    )
                allocating.add(connection, container, network, wanted)
                return network, container in rows.live_containers(connection)

            network, live = await self._database.write("networks.join", add)
            if live:
                try:
                    await self._join_live(container, network.id, publish)
                except BaseException:
                    await asyncio.shield(self._leave(container, network.id, live=True))
                    raise
                self._tell("connect", container, network)

    async def leave(self, container: str, text: str, *, force: bool = False) -> None:
        """Take *container*'s place in the network *text* away; at once, if it runs. *force*: it need not have one.

        Raises `NotFound`, `InvalidArgument` when it has none.
        """
        async with self._lock(container):

            def look(connection: sqlite3.Connection) -> tuple[NetworkRow, bool, bool]:
                network = allocating.find(connection, text)
                own = rows.endpoints(connection, container=container, network_id=network.id)
                return network, bool(own), container in rows.live_containers(connection)

            network, there, live = await self._database.read(look)
            if not there:
                if force:
                    return
                raise InvalidArgument(
                    f"container {container[:12]} is not connected to network {network.name}",
                    hint="`jackstay inspect` shows the networks of a container",
                )
            await self._leave(container, network.id, live=live)
            if live:
                self._tell("disconnect", container, network)

    def netns_path(self, container: str) -> str:
        """The file of *container*'s network namespace; it is there from `connect` to `disconnect`."""
        return os.path.join(self._folder, container)

    async def bound(self) -> dict[str, list[BoundPort]]:
        """The published ports of every running container, by its id."""
        found: dict[str, list[BoundPort]] = {}
        for row in await self._database.read(rows.ports):
            found.setdefault(row.container, []).append(bound_port(row))
        return found

    async def of_containers(self) -> dict[str, list[NetworkRow]]:
        """The networks that every container has a place in, in the order of its interfaces, by its id."""
        networks, places = await self._database.read(lambda c: (rows.networks(c), rows.endpoints(c)))
        by_id = {row.id: row for row in networks}
        found: dict[str, list[NetworkRow]] = {}
        for place in places:
            found.setdefault(place.container, []).append(by_id[place.network])
        return found

    async def describe(
        self, container: str, settings: WantedNetworks, *, exposed: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Docker's ``NetworkSettings`` object of *container*; *exposed* ("80/tcp") are its image's and own ports."""
        places, networks = await self._places(container)
        ports, living = await self._database.read(
            lambda c: (rows.ports(c, container), container in rows.live_containers(c))
        )
        alone = next((row for row in networks.values() if row.name == settings.network and not places), None)
        runs = any(place.active for place in places) or (living and not _shared(settings.network))
        return documents.settings_document(
            [(networks[place.network], place) for place in places] or ([(alone, None)] if alone else []),
            ports,
            sandbox=self.netns_path(container) if runs else "",
            exposed=exposed,
        )

    def close(self) -> None:
        """Let the ports go, at the agent's end; their rows stay, so that `recover` holds them again."""
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None
        self.names.close()
        self._ports.release_all()

    async def _places(self, container: str) -> Places:
        return await self._database.read(
            lambda c: (rows.endpoints(c, container=container), {row.id: row for row in rows.networks(c)})
        )

    async def _connect(
        self,
        container: str,
        name: str,
        places: Sequence[EndpointRow],
        networks: Mapping[str, NetworkRow],
        publish: Sequence[WantedPort],
        userns: str,
    ) -> Attachment:
        if not places:
            await self._jobs.run(f"{_NETLINK}:connect", [self._folder, container, [], userns])
            return Attachment(self.netns_path(container), name)
        out = endpoints.way_out(places, networks)
        bound = await self._ports.hold(container, out.address, publish) if out is not None else ()
        ports = [_row(container, port) for port in bound]
        await self._database.write("networks.connect", lambda c: rows.activate(c, container, ports))
        places, networks = await self._places(container)
        arguments = [endpoints.argument(place, places, networks) for place in places]
        await self._jobs.run(f"{_NETLINK}:connect", [self._folder, container, arguments, userns])
        await self._filter.apply()
        await self._forget_flows(bound)
        await self._rename(places, networks)
        for place in places:
            self._tell("connect", container, networks[place.network])
        return Attachment(
            netns_path=self.netns_path(container),
            network=name,
            addresses=tuple(address for place in places for address in (place.address, place.address6) if address),
            gateway=networks[(out or places[0]).network].gateway,
            ports=tuple(bound),
            nameservers=self._nameservers(places, networks),
        )

    async def _join_live(self, container: str, network_id: str, publish: Sequence[WantedPort]) -> None:
        places, networks = await self._places(container)
        place = next(each for each in places if each.network == network_id)
        argument = endpoints.argument(place, places, networks)
        await self._jobs.run(f"{_NETLINK}:attach", [self._folder, container, argument])
        await self._database.write("networks.joined", lambda c: rows.activate_one(c, container, network_id))
        await self._rename([place], networks)
        if endpoints.way_out(places, networks) == place:
            ports = await self._database.read(lambda c: rows.ports(c, container))
            await self._publish(container, place.address, [bound_port(port) for port in ports] or publish)

    async def _leave(self, container: str, network_id: str, *, live: bool) -> None:
        places, networks = await self._places(container)
        gone = next((each for each in places if each.network == network_id), None)
        if gone is None:
            return
        ports = await self._database.read(lambda c: rows.ports(c, container))
        await self._database.write("networks.leave", lambda c: rows.delete_endpoint(c, container, network_id))
        if not live:
            return
        await self._rename([gone], networks)
        left = [each for each in places if each is not gone]
        ways = endpoints.gateways(left, networks)
        await self._jobs.run(f"{_NETLINK}:detach", [self._folder, container, gone.interface, [gone.address], ways])
        if ports and endpoints.way_out(places, networks) == gone:
            out = endpoints.way_out(left, networks)
            bound = [bound_port(port) for port in ports] if out is not None else []
            await self._publish(container, out.address if out is not None else "", bound)

    async def _publish(self, container: str, address: str, publish: Sequence[WantedPort]) -> None:
        """Publish *publish* of a container that runs, instead of what it has published."""
        bound = await self._ports.hold(container, address, publish)
        ports = [_row(container, port) for port in bound]
        await self._database.write("networks.publish", lambda c: rows.set_ports(c, container, ports))
        await self._filter.apply()
        await self._forget_flows(bound)

    async def nameservers(self, container: str) -> tuple[str, ...]:
        """Whom *container* is to ask for names first: the host, in networks that have names; () if it cannot."""
        return self._nameservers(*await self._places(container))

    def _nameservers(self, places: Sequence[EndpointRow], networks: Mapping[str, NetworkRow]) -> tuple[str, ...]:
        if not self.names.serves:
            return ()
        named = [networks[place.network] for place in places if dns_files.has_names(networks[place.network])]
        # An internal one passes nothing on, so it is asked last.
        return tuple(network.gateway for network in sorted(named, key=lambda network: network.internal)[:3])

    async def _rename(self, places: Iterable[EndpointRow], networks: Mapping[str, NetworkRow]) -> None:
        """Let others know names that have come or gone in *places*."""
        if any(dns_files.has_names(networks[place.network]) for place in places):
            await self.names.follow()

    async def _forget_flows(self, bound: Iterable[BoundPort]) -> None:
        if datagrams := [[port.host_ip, port.host_port] for port in bound if port.protocol == "udp"]:
            await self._jobs.run(f"{_FLOWS}:forget_ports", datagrams)

    async def _undo(self, container: str, places: Sequence[EndpointRow]) -> None:
        """Take a failed `connect` back; what fails on the way is logged, since the first error is the one to tell."""
        try:
            await self._detach(container, places, True)
        except Error as error:
            log.warning("a failed connection left something", container=container, error=error.message)

    async def _detach(self, container: str, places: Sequence[EndpointRow], published: bool) -> None:
        if published or any(place.active for place in places):
            await self._database.write("networks.disconnect", lambda c: rows.deactivate(c, container))
            await self._rename(places, (await self._places(container))[1])
        try:
            # The rules go before the socket: whoever gets the port next must not find his packets taken.
            if published:
                await self._filter.apply()
        finally:
            await self._ports.release(container)
            interfaces = [place.interface for place in places]
            used = [place.address for place in places if place.active or published]
            await self._jobs.run(f"{_NETLINK}:disconnect", [self._folder, container, interfaces, used])

    def _lock(self, container: str) -> asyncio.Lock:
        return self._locks.setdefault(container, asyncio.Lock())

    def _tell(self, action: str, container: str, network: NetworkRow) -> None:
        told = {"container": container, "name": network.name, "type": network.driver}
        self.record("network", action, network.id, told)

    def _record(
        self,
        kind: str,
        action: str,
        subject: str,
        attributes: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.record(kind, action, subject, attributes, labels)


def _shared(name: str) -> bool:
    """Whether a network of this name is the host's own, or another container's."""
    return name == "host" or name.startswith("container:")


def _row(container: str, port: BoundPort) -> PortRow:
    return PortRow(container, port.host_ip, port.host_port, port.container_port, port.protocol, "")
