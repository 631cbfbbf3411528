"""The containers' places in the networks of this host: who has which address, and the way packets take to a container.

Guarantees: the database says what is wanted, and links, namespaces, packet filter and held ports follow it; each change
is whole or undone; `recover` brings a host to that state from any other, as after a crash of the agent, a restart or a
reboot. Addresses stay with a container from create to rm, ports and links from `connect` to `disconnect`. Leaves to
others: which networks there are (`registry`), who comes and goes between start and end (`membership`), who lives
(`containers`), what is done to links (`netlink`), how packets are filtered (`ruleset`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from jackstay_agent import config
from jackstay_agent.errors import Error
from jackstay_agent.events.event import Record, unrecorded
from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.kernel.programs import Programs
from jackstay_agent.metadata import networks as rows
from jackstay_agent.metadata.database import Database
from jackstay_agent.metadata.networks import EndpointRow, NetworkRow
from jackstay_agent.networks import allocating, dns_files, documents, endpoints, observation, plan
from jackstay_agent.networks.attachment import Attachment, BoundPort, WantedNetworks, WantedPort
from jackstay_agent.networks.membership import Membership
from jackstay_agent.networks.opening import OtherFirewalls
from jackstay_agent.networks.ports import bound_port
from jackstay_agent.networks.recovering import Recovered, settle
from jackstay_agent.networks.registry import Registry
from jackstay_agent.networks.ways import NETLINK, Ways, port_row

LINGER = 1.0
"""Seconds that the kernel has to take a container's links away, before the agent does it."""

log = structlog.get_logger()


def _nobody(_attachment: Attachment) -> None:
    """Nobody wants to know early."""


class Networks:
    """Connects containers to networks. One object an agent; `recover` comes first."""

    def __init__(
        self, settings: config.Network, run_dir: str, database: Database, jobs: Jobs, programs: Programs
    ) -> None:
        self._ways = Ways(run_dir, database, jobs, programs)
        self._keeping: asyncio.Task[None] | None = None
        self._sweeping: set[asyncio.Task[None]] = set()
        self._leaving: dict[str, Sequence[EndpointRow]] = {}  # by container: whose links the kernel may still have
        self.names = self._ways.names
        self.membership = Membership(self._ways)
        self.registry = Registry(settings, database, jobs, self._ways.filter)
        self.record = unrecorded

    @property
    def record(self) -> Record:
        """Who is told of what happens to networks."""
        return self._ways.record

    @record.setter
    def record(self, record: Record) -> None:
        self._ways.record = self.registry.record = record

    @property
    def other_firewalls(self) -> OtherFirewalls:
        """Those of this host that drop what is forwarded, and whether containers' packets pass."""
        return self._ways.filter.others

    async def recover(self) -> None:
        """Bring the host's state to the database's, as at the agent's start: before `Containers.recover`. Idempotent.

        A container that the database calls living keeps its place while its link is there; the others lose theirs. What
        cannot be set up on this host is logged and no error, since images need no network; `connect` will then say it.
        From then on the packet filter is made again when somebody takes it away, until `close`. Raises
        `InvalidArgument` for a configuration that cannot work.
        """
        await self.registry.ensure()
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._ways.filter.keep())
        bridges = [row for row in await self.registry.list() if row.driver == "bridge"]
        try:
            found = await self._ways.jobs.run(
                f"{NETLINK}:observe", [[row.bridge for row in bridges], self._ways.folder]
            )
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
            state: Recovered = await self._ways.database.write("networks.recover", lambda c: settle(c, there))
            desired = plan.Desired(
                bridges=tuple(endpoints.bridge_of(row) for row in bridges),
                interfaces=state.interfaces,
                netns=frozenset(state.living),
            )
            steps = [[step.kind, step.subject, step.value] for step in plan.steps(desired, actual)]
            if steps:
                await self._ways.jobs.run(f"{NETLINK}:apply", [self._ways.folder, steps])
            await self._ways.ports.hold_again(state.ports)
            await self._ways.filter.apply(again=True)
            await self.names.follow()
        except Error as error:
            log.warning("networks cannot be set up", error=error.message, hint=error.hint)

    def allocate(self, connection: sqlite3.Connection, container: str, settings: WantedNetworks) -> None:
        """See `allocating.allocate`."""
        allocating.allocate(connection, container, settings)

    async def connect(
        self,
        container: str,
        settings: WantedNetworks,
        publish: Sequence[WantedPort] = (),
        *,
        userns: str = "",
        early: Callable[[Attachment], object] = _nobody,
    ) -> Attachment:
        """Make *container*'s network namespace and publish *publish*; undone as a whole when any of it fails.

        On "host" and another container's network nothing is made, and on these, "none" and internal networks *publish*
        is not looked at, as docker does. What an earlier start left is replaced. *userns* is the path of the user
        namespace that it is to belong to, "" for the host's. *early* may be called with what this will return, once
        the namespace is there for somebody to join and has no links yet. Raises `PortTaken`, `InvalidArgument`,
        `Unsupported` without nft, `Error`.
        """
        if _shared(settings.network):
            return Attachment(None, settings.network)
        async with self._ways.lock(container):
            places, networks = await self._ways.places(container)
            try:
                return await self._connect(container, settings.network, places, networks, publish, userns, early)
            except BaseException:
                await asyncio.shield(self._undo(container, places))
                raise

    async def disconnect(self, container: str) -> None:
        """Undo `connect`. No error when there is nothing to undo."""
        async with self._ways.lock(container):
            places, networks = await self._ways.places(container)
            ports = await self._ways.database.read(lambda c: rows.ports(c, container))
            await self._detach(container, places, bool(ports))
            for place in places:
                if place.active:
                    self._ways.tell("disconnect", container, networks[place.network])

    def netns_path(self, container: str) -> str:
        """The file of *container*'s network namespace; it is there from `connect` to `disconnect`."""
        return os.path.join(self._ways.folder, container)

    async def nameservers(self, container: str) -> tuple[str, ...]:
        """Whom *container* asks for the names of others, in the places that it has now; () for nobody."""
        return self._ways.nameservers(*await self._ways.places(container))

    async def bound(self) -> dict[str, list[BoundPort]]:
        """The published ports of every running container, by its id; on every address of both families, twice."""
        found: dict[str, list[BoundPort]] = {}
        for row in self._ways.ports.shown(await self._ways.database.read(rows.ports)):
            found.setdefault(row.container, []).append(bound_port(row))
        return found

    async def of_containers(self) -> dict[str, list[NetworkRow]]:
        """The networks that every container has a place in, in the order of its interfaces, by its id."""
        networks, places = await self._ways.database.read(lambda c: (rows.networks(c), rows.endpoints(c)))
        by_id = {row.id: row for row in networks}
        found: dict[str, list[NetworkRow]] = {}
        for place in places:
            found.setdefault(place.container, []).append(by_id[place.network])
        return found

    async def describe(
        self, container: str, settings: WantedNetworks, *, exposed: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Docker's ``NetworkSettings`` object of *container*; *exposed* ("80/tcp") are its image's and own ports."""
        places, networks = await self._ways.places(container)
        ports, living = await self._ways.database.read(
            lambda c: (rows.ports(c, container), container in rows.live_containers(c))
        )
        alone = next((row for row in networks.values() if row.name == settings.network and not places), None)
        runs = any(place.active for place in places) or (living and not _shared(settings.network))
        return documents.settings_document(
            [(networks[place.network], place) for place in places] or ([(alone, None)] if alone else []),
            self._ways.ports.shown(ports),
            sandbox=self.netns_path(container) if runs else "",
            exposed=exposed,
        )

    def close(self) -> None:
        """Let the ports go, at the agent's end; their rows stay, so that `recover` holds them again."""
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None
        for sweep in self._sweeping:
            sweep.cancel()
        self.names.close()
        self._ways.ports.release_all()

    async def _connect(
        self,
        container: str,
        name: str,
        places: Sequence[EndpointRow],
        networks: Mapping[str, NetworkRow],
        publish: Sequence[WantedPort],
        userns: str,
        early: Callable[[Attachment], object],
    ) -> Attachment:
        self._leaving.pop(container, None)
        if not places:
            await self._ways.jobs.run(f"{NETLINK}:connect", [self._ways.folder, container, [], userns, []])
            return Attachment(self.netns_path(container), name)
        out = endpoints.way_out(places, networks)
        bound = await self._ways.ports.hold(container, out.address, publish) if out is not None else ()
        ports = [port_row(container, port) for port in bound]
        await self._ways.database.write("networks.connect", lambda c: rows.activate(c, container, ports))
        self._ways.filter.ended.discard(container)
        places, networks = await self._ways.places(container)
        arguments = [endpoints.argument(place, places, networks) for place in places]
        # Who had an address before and is gone must not answer for it any more.
        taken = {(place.network, address) for place in places for address in (place.address, place.address6) if address}
        before = [
            place.interface
            for left in self._leaving.values()
            for place in left
            if taken & {(place.network, place.address), (place.network, place.address6)}
        ]
        attachment = Attachment(
            netns_path=self.netns_path(container),
            network=name,
            addresses=tuple(address for place in places for address in (place.address, place.address6) if address),
            gateway=networks[(out or places[0]).network].gateway,
            ports=tuple(bound),
            nameservers=self._ways.nameservers(places, networks),
        )
        with _pipe() as (there, told):
            loop = asyncio.get_running_loop()

            def namespace_is_there() -> None:
                loop.remove_reader(there)
                early(attachment)

            # The first who has names has nobody to ask yet.
            if attachment.nameservers or not any(dns_files.has_names(networks[place.network]) for place in places):
                loop.add_reader(there, namespace_is_there)
            try:
                argument = [self._ways.folder, container, arguments, userns, before]
                await self._ways.jobs.run(f"{NETLINK}:connect", argument, [told])
            finally:
                loop.remove_reader(there)
        await self._ways.filter.apply()
        await self._ways.forget_flows(bound)
        await self._ways.rename(places, networks)
        for place in places:
            self._ways.tell("connect", container, networks[place.network])
        return replace(attachment, nameservers=self._ways.nameservers(places, networks))

    async def _undo(self, container: str, places: Sequence[EndpointRow]) -> None:
        """Take a failed `connect` back; what fails on the way is logged, since the first error is the one to tell."""
        try:
            await self._detach(container, places, True)
        except Error as error:
            log.warning("a failed connection left something", container=container, error=error.message)

    async def _detach(self, container: str, places: Sequence[EndpointRow], published: bool) -> None:
        """Let go of everything, whatever step fails; the first error is raised, and it can be called again."""
        ended = self._ways.filter.ended
        published = published or container in ended
        if published:
            ended.add(container)  # its rules go with the next turn of the filter, also if its rows cannot

        async def rows_go() -> None:
            await self._ways.database.write("networks.disconnect", lambda c: rows.deactivate(c, container))

        async def names_go() -> None:
            await self._ways.rename(places, (await self._ways.places(container))[1])

        async def links_go() -> None:
            # Only who comes from outside would wait for an answer; listing flows takes longer than all else here.
            used = [place.address for place in places] if published else []
            await self._ways.jobs.run(f"{NETLINK}:disconnect", [self._ways.folder, container, used])

        steps: list[Callable[[], Awaitable[None]]] = []
        if published or any(place.active for place in places):
            steps += [rows_go, names_go]
        if published:
            # The rules go before the socket: whoever gets the port next must not find his packets taken.
            steps.append(self._ways.filter.apply)
        wrong = await _every([*steps, lambda: self._ways.ports.release(container), links_go])
        if places:
            self._leaving[container] = places
            sweep = asyncio.create_task(self._sweep(container, places))
            self._sweeping.add(sweep)
            sweep.add_done_callback(self._sweeping.discard)
        if wrong is not None:
            raise wrong
        ended.discard(container)

    async def _sweep(self, container: str, ended: Sequence[EndpointRow]) -> None:
        """Delete the links of *ended* that outlast the run of their *container*, unless the next one has them."""
        await asyncio.sleep(LINGER)
        async with self._ways.lock(container):
            places, _networks = await self._ways.places(container)
            used = {place.interface for place in places if place.active}
            left = [place.interface for place in ended if place.interface not in used]
            try:
                await self._ways.jobs.run(f"{NETLINK}:delete_links", left)
            except Error as error:
                log.warning("a container's link stays", container=container, error=error.message)
            if self._leaving.get(container) is ended:
                del self._leaving[container]


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


async def _every(steps: Iterable[Callable[[], Awaitable[None]]]) -> Exception | None:
    """Carry out every one of *steps*; the first error."""
    first: Exception | None = None
    for step in steps:
        try:
            await step()
        except Exception as error:
            first = first or error
    return first


def _shared(name: str) -> bool:
    """Whether a network of this name is the host's own, or another container's."""
    return name == "host" or name.startswith("container:")
