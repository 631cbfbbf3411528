"""The networks of this host, apart from who is in them: made, shown, removed.

Guarantees: a network's row comes before its bridge and goes before it; a bridge without a row carries the agent's mark,
so that the next start takes it away. No two networks share addresses, and none is made on addresses of the host's. One
that a container has a place in, running or not, is not removed.
"""

from __future__ import annotations

import asyncio
import builtins
import re
import secrets
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from jackstay_agent import config
from jackstay_agent.errors import AddressTaken, AlreadyExists, Error, InUse, InvalidArgument, NotFound, Unsupported
from jackstay_agent.events.event import Record, unrecorded
from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.metadata import networks as rows
from jackstay_agent.metadata.database import Database
from jackstay_agent.metadata.networks import NetworkRow
from jackstay_agent.networks import addresses, allocating, documents, filters, observation, plan, subnets
from jackstay_agent.networks.endpoints import BRIDGE_NAME, MTU, bridge_of
from jackstay_agent.networks.filter import PacketFilter
from jackstay_agent.networks.subnets import Place, Subnet

_NETLINK = "jackstay_agent.networks.netlink"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")
_LINK = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A network to make. At most one subnet of each family; without one it is chosen, of IPv6 only with *ipv6*."""

    name: str
    driver: str = "bridge"
    internal: bool = False
    ipv6: bool = False
    subnets: Sequence[Subnet] = ()  # `Subnet.gateway` "" is the first address
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


class Registry:
    """Keeps networks. One object an agent; `ensure` comes first."""

    def __init__(self, settings: config.Network, database: Database, jobs: Jobs, packets: PacketFilter) -> None:
        self._settings = settings
        self._database = database
        self._jobs = jobs
        self._filter = packets
        self._lock = asyncio.Lock()  # rows and bridges change together
        self.record: Record = unrecorded

    async def ensure(self) -> None:
        """Make the rows of the networks that are always there. Raises `InvalidArgument` for an impossible setting."""
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

    async def list(self, texts: Iterable[str] = ()) -> list[NetworkRow]:
        """The networks that fit the filters *texts*, by name. Raises `InvalidArgument` for an unknown one."""
        networks, used = await self._database.read(
            lambda c: (rows.networks(c), {row.network for row in rows.endpoints(c)})
        )
        return filters.matching(networks, texts, used)

    async def inspect(self, text: str) -> dict[str, Any]:
        """Docker's ``network inspect`` object of the network that *text* means. Raises `NotFound`, `Ambiguous`."""

        def read(connection: sqlite3.Connection) -> dict[str, Any]:
            network = allocating.find(connection, text)
            return documents.network_document(network, rows.endpoints(connection, network_id=network.id))

        return await self._database.read(read)

    async def create(self, wanted: Wanted) -> str:
        """Make a network and its bridge; its id.

        Raises `AlreadyExists`, `InvalidArgument`, `AddressTaken` for a subnet that others have, `Unsupported`.
        """
        _check(wanted)
        async with self._lock:
            found = observation.decode(await self._jobs.run(f"{_NETLINK}:observe", [[], None]))
            row = await self._database.write("networks.create", lambda c: _insert(c, wanted, found))
            try:
                bridge = bridge_of(row)
                if bridge.name in {name for name, _master in found.interfaces}:
                    raise InvalidArgument(
                        f"the host has an interface {bridge.name}", hint=f"choose another {BRIDGE_NAME}"
                    )
                steps = [[step.kind, step.subject, step.value] for step in plan.bridge_steps(bridge, found)]
                await self._jobs.run(f"{_NETLINK}:apply", ["", steps])
                await self._filter.apply()
            except BaseException:
                await asyncio.shield(self._undo(row))
                raise
        self.record("network", "create", row.id, {"name": row.name, "type": row.driver})
        return row.id

    async def remove(self, text: str, *, force: bool = False) -> str:
        """Remove the network that *text* means; its name. *force*: it need not be there.

        Raises `NotFound`, `Ambiguous`, `InUse` naming the containers, `InvalidArgument` for a predefined one.
        """
        async with self._lock:
            try:
                row = await self._database.write("networks.remove", lambda c: _delete(c, allocating.find(c, text)))
            except NotFound:
                if not force:
                    raise
                return text
            await self._take_away(row)
        return row.name

    async def prune(self, texts: Iterable[str], before: int | None = None) -> builtins.list[str]:
        """Remove the networks without containers that `filters.prunable` lets through; their names."""
        wanted = tuple(texts)
        filters.prunable((), wanted, before)  # refused before anything is removed
        removed = []
        async with self._lock:
            gone = await self._database.write("networks.prune", lambda c: _delete_unused(c, wanted, before))
            for row in gone:
                removed.append(row.name)
                try:
                    await self._take_away(row)
                except Error as error:  # its mark says that the next start has to
                    log.warning("a bridge cannot be removed", network=row.name, error=error.message)
        self.record("network", "prune", "", {"reclaimed": "0"})
        return removed

    async def _take_away(self, row: NetworkRow) -> None:
        """What the host has of a network whose row is gone."""
        try:
            await self._filter.apply()
        finally:  # without the bridge, rules that stay match nothing
            await self._jobs.run(f"{_NETLINK}:apply", ["", [["delete_link", row.bridge, ""]]])
            self.record("network", "destroy", row.id, {"name": row.name, "type": row.driver})

    async def _undo(self, row: NetworkRow) -> None:
        """Take a failed `create` back; what fails on the way is logged, since the first error is the one to tell."""
        await self._database.write("networks.uncreate", lambda c: rows.delete_network(c, row.id))
        try:
            found = observation.decode(await self._jobs.run(f"{_NETLINK}:observe", [[], None]))
            if (there := found.bridges.get(row.bridge)) is not None and there.mark == plan.MARK + row.id:
                await self._jobs.run(f"{_NETLINK}:apply", ["", [["delete_link", row.bridge, ""]]])
            await self._filter.apply()
        except Error as error:
            log.warning("a network that failed left something", network=row.name, error=error.message)


def _check(wanted: Wanted) -> None:
    if not _NAME.fullmatch(wanted.name):
        raise InvalidArgument(
            f"{wanted.name[:80]!r} is no name for a network", hint="letters, digits, _ . - after a letter or digit"
        )
    if wanted.name in (*filters.PREDEFINED, "default", "container"):
        raise InvalidArgument(f"{wanted.name} is the name of a predefined network", hint="choose another name")
    if wanted.driver != "bridge":
        raise Unsupported(f"the driver {wanted.driver[:40]!r} is not supported", hint="networks are bridges")
    for key, value in wanted.options.items():
        if key == MTU:
            if not (value.isascii() and value.isdigit() and 68 <= int(value[:6]) <= 65535):
                raise InvalidArgument(f"{key}={value[:40]} is no MTU", hint="give 68 to 65535")
        elif key == BRIDGE_NAME:
            if not _LINK.fullmatch(value):
                raise InvalidArgument(
                    f"{value[:40]!r} is no name for an interface", hint="at most 15 letters and digits"
                )
        else:
            raise InvalidArgument(f"unknown option {key[:60]!r}", hint=f"known are {BRIDGE_NAME}, {MTU}")


def _insert(connection: sqlite3.Connection, wanted: Wanted, found: plan.Actual) -> NetworkRow:
    every = rows.networks(connection)
    for row in every:
        if row.name == wanted.name:
            raise AlreadyExists(
                f"network with name {wanted.name} already exists", hint="`jackstay network ls` shows it"
            )
    identity = secrets.token_hex(32)
    bridge = wanted.options.get(BRIDGE_NAME) or f"jk-{identity[:12]}"
    for row in every:
        if row.bridge == bridge:
            raise AlreadyExists(f"the network {row.name} has the bridge {bridge}", hint="choose another name for it")
    known: list[Place] = [
        (f"network {row.name}", subnet) for row in every for subnet in (row.subnet, row.subnet6) if subnet
    ]
    four, six = _subnets(wanted, known, found)
    made = NetworkRow(
        id=identity,
        name=wanted.name,
        driver="bridge",
        bridge=bridge,
        subnet=four.subnet,
        gateway=four.gateway,
        created=time.time_ns(),
        internal=wanted.internal,
        ip_range=four.ip_range,
        subnet6=six.subnet if six else "",
        gateway6=six.gateway if six else "",
        ip_range6=six.ip_range if six else "",
        labels=wanted.labels,
        options=wanted.options,
    )
    rows.add_network(connection, made)
    return made


def _subnets(wanted: Wanted, known: Sequence[Place], found: plan.Actual) -> tuple[Subnet, Subnet | None]:
    """The IPv4 and the IPv6 subnet. Raises `AddressTaken`, `InvalidArgument`."""
    given: dict[bool, Subnet] = {}
    for each in wanted.subnets:
        subnet = subnets.checked(each.subnet, each.gateway, each.ip_range)
        if given.setdefault(":" in subnet.subnet, subnet) is not subnet:
            raise InvalidArgument("a network has one subnet of each family", hint="give --subnet once for each")
        if who := subnets.clash(subnet.subnet, known, found.others, found.routes):
            raise AddressTaken(
                f"the subnet {subnet.subnet} overlaps {who} on this host", hint="give another one, or leave it out"
            )
    taken = [*known, *found.others, *found.routes]
    six = given.get(True) or (subnets.choose6(taken) if wanted.ipv6 else None)
    return given.get(False) or subnets.choose4(taken), six


def _delete(connection: sqlite3.Connection, row: NetworkRow) -> NetworkRow:
    if row.name in filters.PREDEFINED:
        raise InvalidArgument(f"{row.name} is a pre-defined network and cannot be removed", hint="remove others")
    if users := [place.name for place in rows.endpoints(connection, network_id=row.id)]:
        raise InUse(
            f"network {row.name} is in use by {', '.join(users)}",
            hint="remove these containers, or `jackstay network disconnect` them",
        )
    rows.delete_network(connection, row.id)
    return row


def _delete_unused(connection: sqlite3.Connection, texts: Iterable[str], before: int | None) -> list[NetworkRow]:
    used = {place.network for place in rows.endpoints(connection)}
    going = [row for row in filters.prunable(rows.networks(connection), texts, before) if row.id not in used]
    for row in going:
        rows.delete_network(connection, row.id)
    return going
