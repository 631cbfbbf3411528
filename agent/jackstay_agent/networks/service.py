"""The networks of this host: who has which address, and the way packets take to a container.

Guarantees: the database says what is wanted, and links, namespaces, packet filter and held ports follow it; each change
is whole or undone; `recover` brings a host to that state from any other, as after a crash of the agent, a restart or a
reboot. Addresses stay with a container from create to rm, ports and links from `connect` to `disconnect`. Leaves to
others: who lives (`containers`), what is done to links (`netlink`), how packets are filtered (`ruleset`).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import Any
from weakref import WeakValueDictionary

import structlog

from jackstay_agent import config
from jackstay_agent.errors import Error, InvalidArgument, NotFound, Unsupported
from jackstay_agent.events.event import Record, unrecorded
from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.kernel.programs import Programs
from jackstay_agent.metadata import networks as rows
from jackstay_agent.metadata.database import Database
from jackstay_agent.metadata.networks import EndpointRow, NetworkRow, PortRow
from jackstay_agent.networks import addresses, documents, observation, plan
from jackstay_agent.networks.attachment import Attachment, BoundPort, WantedNetwork, WantedPort
from jackstay_agent.networks.filter import PacketFilter
from jackstay_agent.networks.ports import HeldPorts, bound_port

_FLOWS = "jackstay_agent.networks.flows"
_NETLINK = "jackstay_agent.networks.netlink"

log = structlog.get_logger()


class Networks:
    """Connects containers to networks. One object an agent; `recover` comes first."""

    def __init__(
        self, settings: config.Network, run_dir: str, database: Database, jobs: Jobs, programs: Programs
    ) -> None:
        self._settings = settings
        self._folder = os.path.join(run_dir, "netns")
        self._database = database
        self._jobs = jobs
        self._ports = HeldPorts(database, jobs)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._filter = PacketFilter(database, programs)
        self._keeping: asyncio.Task[None] | None = None
        self.record: Record = unrecorded

    async def recover(self) -> None:
        """Bring the host's state to the database's, as at the agent's start: before `Containers.recover`. Idempotent.

        A container that the database calls living keeps its place while its link is there; the others lose theirs. What
        cannot be set up on this host is logged and no error, since images need no network; `connect` will then say it.
        From then on the packet filter is made again when somebody takes it away, until `close`. Raises
        `InvalidArgument` for a configuration that cannot work.
        """
        await self._ensure_rows()
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._filter.keep())
        network, endpoints, living, ports = await self._database.read(_everything)
        try:
            found = await self._jobs.run(f"{_NETLINK}:observe", [network.bridge, self._folder])
            actual = observation.decode(found)
            for link, address in plan.overlaps(_bridge(network), actual):
                log.warning(
                    "the network overlaps another one of this host; set network.subnet",
                    subnet=network.subnet,
                    link=link,
                    address=address,
                )
            there = {name for name, _master in actual.interfaces}
            kept = {row.container for row in endpoints if row.container in living and row.interface in there}
            gone = {row.container for row in endpoints if row.active} | {row.container for row in ports}
            gone -= kept
            if gone:
                await self._database.write("networks.recover", lambda c: _deactivate_all(c, gone))
            desired = plan.Desired(
                bridge=_bridge(network),
                interfaces=frozenset(row.interface for row in endpoints if row.container in kept),
                netns=frozenset(living),
            )
            steps = [[step.kind, step.subject, step.value] for step in plan.steps(desired, actual)]
            if steps:
                await self._jobs.run(f"{_NETLINK}:apply", [self._folder, steps])
            await self._ports.hold_again([port for port in ports if port.container in kept])
            await self._filter.apply()
        except Error as error:
            log.warning("networks cannot be set up", error=error.message, hint=error.hint)

    def allocate(self, connection: sqlite3.Connection, container: str, settings: WantedNetwork) -> None:
        """Give *container* its place in the network that *settings* name; SQL, for the transaction that creates it.

        Nothing on the networks "host" and "none". Raises `NotFound` for an unknown network, `AddressTaken`,
        `InvalidArgument` for a malformed address.
        """
        network = _find(connection, settings.network)
        if network.driver != "bridge":
            return
        others = rows.endpoints(connection)
        taken = {row.address for row in others if row.network == network.id}
        if settings.ip:
            address = addresses.asked(network.subnet, taken, settings.ip)
        else:
            address = addresses.next_free(network.subnet, taken)
        mac = addresses.asked_mac(settings.mac_address) if settings.mac_address else addresses.mac_of(address)
        interface = addresses.interface_name(container, network.id, {row.interface for row in others})
        rows.add_endpoint(connection, container, network.id, address, mac, interface)

    async def connect(self, container: str, settings: WantedNetwork, publish: Sequence[WantedPort] = ()) -> Attachment:
        """Make *container*'s network namespace and publish *publish*; undone as a whole when any of it fails.

        On "host" nothing is made, and on "host" and "none" *publish* is not looked at, as docker does. What an earlier
        start left is replaced. Raises `PortTaken`, `NotFound`, `InvalidArgument`, `Unsupported` without nft, `Error`.
        """
        network = await self._database.read(lambda c: _find(c, settings.network))
        if network.driver == "host":
            return Attachment(None, network.name, network.id)
        async with self._lock(container):
            if network.driver != "bridge":
                await self._jobs.run(f"{_NETLINK}:connect", [self._folder, container, None])
                return Attachment(self.netns_path(container), network.name, network.id)
            endpoint = await self._endpoint(container)
            try:
                return await self._attach(network, endpoint, publish)
            except BaseException:
                await asyncio.shield(self._undo(endpoint))
                raise

    async def disconnect(self, container: str) -> None:
        """Undo `connect`. No error when there is nothing to undo."""
        async with self._lock(container):
            endpoints, ports = await self._database.read(
                lambda c: (rows.endpoints(c, container=container), rows.ports(c, container))
            )
            await self._detach(container, endpoints, bool(ports))

    def netns_path(self, container: str) -> str:
        """The file of *container*'s network namespace; it is there from `connect` to `disconnect`."""
        return os.path.join(self._folder, container)

    async def bound(self) -> dict[str, list[BoundPort]]:
        """The published ports of every running container, by its id."""
        found: dict[str, list[BoundPort]] = {}
        for row in await self._database.read(rows.ports):
            found.setdefault(row.container, []).append(bound_port(row))
        return found

    async def describe(self, container: str, settings: WantedNetwork, *, exposed: Iterable[str] = ()) -> dict[str, Any]:
        """Docker's ``NetworkSettings`` object of *container*; *exposed* ("80/tcp") are its image's and own ports."""
        name = _canonical(settings.network)
        network, endpoints, ports, living = await self._database.read(
            lambda c: (
                rows.network(c, name),
                rows.endpoints(c, container=container),
                rows.ports(c, container),
                container in rows.live_containers(c),
            )
        )
        endpoint = endpoints[0] if endpoints else None
        runs = endpoint.active if endpoint is not None else living and name != "host"
        return documents.settings_document(
            network, endpoint, ports, sandbox=self.netns_path(container) if runs else "", exposed=exposed
        )

    async def inspect(self, name: str) -> dict[str, Any]:
        """Docker's ``network inspect`` object of the network with this name, id or start of an id.

        Raises `NotFound`.
        """
        network, endpoints = await self._database.read(lambda c: _with_endpoints(c, name))
        return documents.network_document(network, endpoints)

    def close(self) -> None:
        """Let the ports go, at the agent's end; their rows stay, so that `recover` holds them again."""
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None
        self._ports.release_all()

    async def _ensure_rows(self) -> None:
        subnet = self._settings.subnet
        wanted = [
            ("bridge", "bridge", self._settings.bridge, subnet, addresses.gateway_of(subnet)),
            ("host", "host", "", "", ""),
            ("none", "null", "", "", ""),
        ]
        have = {(row.name, row.driver, row.bridge, row.subnet, row.gateway) for row in await self.list()}
        if have.issuperset(wanted):
            return
        made = [NetworkRow(secrets.token_hex(32), *fields, created=time.time_ns()) for fields in wanted]
        await self._database.write("networks.ensure", lambda c: [rows.ensure_network(c, row) for row in made])
        for row in await self.list():
            if row.name == "bridge" and row.subnet != subnet:
                log.warning(
                    "the network keeps its subnet while containers have addresses in it",
                    subnet=row.subnet,
                    configured=subnet,
                )

    async def _endpoint(self, container: str) -> EndpointRow:
        found = await self._database.read(lambda c: rows.endpoints(c, container=container))
        if not found:
            raise NotFound(f"the container {container[:12]} has no place in a network", hint="create it again")
        return found[0]

    async def _attach(self, network: NetworkRow, endpoint: EndpointRow, publish: Sequence[WantedPort]) -> Attachment:
        container = endpoint.container
        prefix = addresses.prefix_of(network.subnet)
        bound = await self._ports.hold(container, endpoint.address, publish)
        ports = [_row(endpoint, port) for port in bound]
        await self._database.write("networks.connect", lambda c: rows.activate(c, container, ports))
        bridge = _bridge(network)
        await self._jobs.run(
            f"{_NETLINK}:connect",
            [
                self._folder,
                container,
                {
                    "bridge": bridge.name,
                    "gateway_cidr": bridge.address,
                    "bridge_mac": bridge.mac,
                    "interface": endpoint.interface,
                    "cidr": f"{endpoint.address}/{prefix}",
                    "mac": endpoint.mac,
                    "gateway": network.gateway,
                },
            ],
        )
        await self._filter.apply()
        if datagrams := [[port.host_ip, port.host_port] for port in bound if port.protocol == "udp"]:
            await self._jobs.run(f"{_FLOWS}:forget_ports", datagrams)
        return Attachment(
            netns_path=self.netns_path(container),
            network=network.name,
            network_id=network.id,
            address=endpoint.address,
            prefix=prefix,
            gateway=network.gateway,
            mac=endpoint.mac,
            ports=bound,
        )

    async def _undo(self, endpoint: EndpointRow) -> None:
        """Take a failed `connect` back; what fails on the way is logged, since the first error is the one to tell."""
        try:
            await self._detach(endpoint.container, [endpoint], True)
        except Error as error:
            log.warning("a failed connection left something", container=endpoint.container, error=error.message)

    async def _detach(self, container: str, endpoints: Sequence[EndpointRow], published: bool) -> None:
        if published or any(endpoint.active for endpoint in endpoints):
            await self._database.write("networks.disconnect", lambda c: rows.deactivate(c, container))
        try:
            # The rules go before the socket: whoever gets the port next must not find his packets taken.
            if published:
                await self._filter.apply()
        finally:
            await self._ports.release(container)
            interfaces = [endpoint.interface for endpoint in endpoints]
            used = [endpoint.address for endpoint in endpoints if endpoint.active or published]
            await self._jobs.run(f"{_NETLINK}:disconnect", [self._folder, container, interfaces, used])

    def _lock(self, container: str) -> asyncio.Lock:
        return self._locks.setdefault(container, asyncio.Lock())

    async def list(self, filters: Iterable[str] = ()) -> list[NetworkRow]:
        """The networks that fit *filters* ("name=", "driver="), by name. Raises `InvalidArgument` for other filters."""
        return _matching(await self._database.read(rows.networks), filters)


def _everything(
    connection: sqlite3.Connection,
) -> tuple[NetworkRow, list[EndpointRow], set[str], list[PortRow]]:
    return (
        _find(connection, "bridge"),
        rows.endpoints(connection),
        rows.live_containers(connection),
        rows.ports(connection),
    )


def _deactivate_all(connection: sqlite3.Connection, containers: Iterable[str]) -> None:
    for container in containers:
        rows.deactivate(connection, container)


def _matching(networks: Sequence[NetworkRow], filters: Iterable[str]) -> list[NetworkRow]:
    wanted: dict[str, list[str]] = {"name": [], "driver": []}
    for each in filters:
        key, separator, value = each.partition("=")
        if key not in wanted or not separator:
            raise InvalidArgument(f"invalid filter {each!r}", hint="filters are driver, name")
        wanted[key].append(value)
    return [
        row
        for row in networks
        if (not wanted["name"] or any(text in row.name for text in wanted["name"]))
        and (not wanted["driver"] or row.driver in wanted["driver"])
    ]


def _canonical(name: str) -> str:
    return "bridge" if name in ("", "default") else name


def _find(connection: sqlite3.Connection, name: str) -> NetworkRow:
    """The network that a container's settings name. Raises `NotFound`, `Unsupported` for another container's."""
    if name.startswith("container:"):
        raise Unsupported("the network of another container cannot be joined yet", hint="use bridge, host or none")
    network = rows.network(connection, _canonical(name))
    if network is None:
        raise NotFound(f"network {name} not found", hint="there are bridge, host and none")
    return network


def _with_endpoints(connection: sqlite3.Connection, name: str) -> tuple[NetworkRow, list[EndpointRow]]:
    network = rows.network(connection, name)
    if network is None:
        found = [row for row in rows.networks(connection) if name and row.id.startswith(name)]
        if len(found) != 1:
            raise NotFound(f"network {name} not found", hint="`jackstay network ls` shows what there is")
        network = found[0]
    return network, rows.endpoints(connection, network_id=network.id)


def _bridge(network: NetworkRow) -> plan.Bridge:
    return plan.Bridge(
        network.bridge,
        f"{network.gateway}/{addresses.prefix_of(network.subnet)}",
        addresses.mac_of(network.gateway),
    )


def _row(endpoint: EndpointRow, port: BoundPort) -> PortRow:
    return PortRow(
        endpoint.container, port.host_ip, port.host_port, port.container_port, port.protocol, endpoint.address
    )
