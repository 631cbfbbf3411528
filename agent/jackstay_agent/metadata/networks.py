"""Networks, the containers' endpoints in them and the published ports: the SQL."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

LIVE = ("starting", "running", "paused")
"""States of a container in which its network namespace is in use."""

_NETWORK = "id, name, driver, bridge, subnet, gateway, created, internal, ip_range, subnet6, gateway6, ip_range6"


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """One row of ``networks``. The fields with a 6 are of IPv6, "" in a network without."""

    id: str
    name: str
    driver: str
    bridge: str
    subnet: str  # CIDR
    gateway: str
    created: int  # nanoseconds since 1970
    internal: bool = False
    ip_range: str = ""  # CIDR that addresses are chosen from, "" for all of the subnet
    subnet6: str = ""
    gateway6: str = ""
    ip_range6: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """One row of ``endpoints``, with its container's name. While it is active, its interface inside is eth`ordinal`."""

    container: str
    name: str
    network: str
    address: str
    mac: str
    interface: str
    active: bool
    address6: str = ""
    aliases: tuple[str, ...] = ()
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class PortRow:
    """One row of ``ports``, with the address of its container in the network that it is reached by."""

    container: str
    host_ip: str
    host_port: int
    container_port: int
    protocol: str
    address: str


def ensure_network(connection: sqlite3.Connection, wanted: NetworkRow) -> NetworkRow:
    """The network of *wanted*'s name: made when missing, changed to *wanted* while it has no endpoint, else kept."""
    found = network(connection, wanted.name)
    if found is None:
        add_network(connection, wanted)
        return wanted
    used = connection.execute("SELECT 1 FROM endpoints WHERE network = ?", (found.id,)).fetchone()
    if not used and (found.bridge, found.subnet, found.gateway) != (wanted.bridge, wanted.subnet, wanted.gateway):
        connection.execute(
            "UPDATE networks SET bridge = ?, subnet = ?, gateway = ? WHERE id = ?",
            (wanted.bridge, wanted.subnet, wanted.gateway, found.id),
        )
    return network(connection, wanted.name) or wanted


def add_network(connection: sqlite3.Connection, row: NetworkRow) -> None:
    """Write a new network, whose name nobody has."""
    connection.execute(
        f"INSERT INTO networks ({_NETWORK}, labels, options) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (
            *(row.id, row.name, row.driver, row.bridge, row.subnet, row.gateway, row.created, int(row.internal)),
            *(row.ip_range, row.subnet6, row.gateway6, row.ip_range6),
            *(json.dumps(dict(row.labels)), json.dumps(dict(row.options))),
        ),
    )


def delete_network(connection: sqlite3.Connection, network_id: str) -> None:
    """Delete a network that no container has a place in."""
    connection.execute("DELETE FROM networks WHERE id = ?", (network_id,))


def network(connection: sqlite3.Connection, name: str) -> NetworkRow | None:
    """The network called *name*, or None."""
    return next((row for row in networks(connection) if row.name == name), None)


def networks(connection: sqlite3.Connection) -> list[NetworkRow]:
    """Every network, by name."""
    found = connection.execute(f"SELECT {_NETWORK}, labels, options FROM networks ORDER BY name")  # noqa: S608
    return [_network(row) for row in found]


def _network(row: tuple[Any, ...]) -> NetworkRow:
    labels, options = json.loads(row[12]), json.loads(row[13])
    return NetworkRow(*(*row[:7], bool(row[7]), *row[8:12], labels, options))


def add_endpoint(connection: sqlite3.Connection, row: EndpointRow) -> None:
    """Give a container a place in a network; not active yet."""
    connection.execute(
        "INSERT INTO endpoints (container, network, address, mac, interface, address6, aliases, ordinal)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(row.container, row.network, row.address, row.mac, row.interface, row.address6),
            *(json.dumps(row.aliases), row.ordinal),
        ),
    )


def delete_endpoint(connection: sqlite3.Connection, container: str, network_id: str) -> None:
    """Take *container*'s place in a network away."""
    connection.execute("DELETE FROM endpoints WHERE container = ? AND network = ?", (container, network_id))


def endpoints(
    connection: sqlite3.Connection, *, container: str | None = None, network_id: str | None = None
) -> list[EndpointRow]:
    """The endpoints of a container, of a network, or all; those of one container in the order of its interfaces."""
    rows = connection.execute(
        "SELECT e.container, c.name, e.network, e.address, e.mac, e.interface, e.active, e.address6, e.aliases,"
        " e.ordinal FROM endpoints e JOIN containers c ON c.id = e.container"
        " WHERE (?1 IS NULL OR e.container = ?1) AND (?2 IS NULL OR e.network = ?2)"
        " ORDER BY c.rowid, e.ordinal, e.rowid",
        (container, network_id),
    )
    return [EndpointRow(*(*row[:6], bool(row[6]), row[7], tuple(json.loads(row[8])), row[9])) for row in rows]


def nameservers(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """The nameservers of ``--dns`` of the containers that have some."""
    rows = connection.execute(
        "SELECT id, json_extract(config, '$.dns') FROM containers WHERE json_array_length(config, '$.dns') > 0"
    )
    return {row[0]: json.loads(row[1]) for row in rows}


def activate(connection: sqlite3.Connection, container: str, ports: Iterable[PortRow]) -> None:
    """Mark *container*'s endpoints active, number them anew, and write the ports that it has bound."""
    for ordinal, row in enumerate(endpoints(connection, container=container)):
        connection.execute(
            "UPDATE endpoints SET active = 1, ordinal = ? WHERE container = ? AND network = ?",
            (ordinal, container, row.network),
        )
    set_ports(connection, container, ports)


def activate_one(connection: sqlite3.Connection, container: str, network_id: str, *, active: bool = True) -> None:
    """Mark one endpoint of a container that runs active, or not."""
    connection.execute(
        "UPDATE endpoints SET active = ? WHERE container = ? AND network = ?", (int(active), container, network_id)
    )


def set_ports(connection: sqlite3.Connection, container: str, ports: Iterable[PortRow]) -> None:
    """Write the ports that *container* has bound, instead of those written before."""
    connection.execute("DELETE FROM ports WHERE container = ?", (container,))
    connection.executemany(
        "INSERT OR REPLACE INTO ports (container, host_ip, host_port, container_port, protocol) VALUES (?, ?, ?, ?, ?)",
        [(container, port.host_ip, port.host_port, port.container_port, port.protocol) for port in ports],
    )


def deactivate(connection: sqlite3.Connection, container: str) -> None:
    """Undo `activate`."""
    connection.execute("DELETE FROM ports WHERE container = ?", (container,))
    connection.execute("UPDATE endpoints SET active = 0 WHERE container = ?", (container,))


def ports(connection: sqlite3.Connection, container: str | None = None) -> list[PortRow]:
    """The bound ports of a container or of all, in a stable order."""
    rows = connection.execute(
        "SELECT p.container, p.host_ip, p.host_port, p.container_port, p.protocol, e.address"
        " FROM ports p JOIN endpoints e ON e.rowid = ("
        "   SELECT x.rowid FROM endpoints x JOIN networks n ON n.id = x.network"
        "   WHERE x.container = p.container AND n.internal = 0 ORDER BY x.ordinal LIMIT 1)"
        " WHERE ?1 IS NULL OR p.container = ?1 ORDER BY p.protocol, p.host_port, p.host_ip",
        (container,),
    )
    return [PortRow(*row) for row in rows]


def live_containers(connection: sqlite3.Connection) -> set[str]:
    """Ids of the containers that may have a process."""
    marks = ", ".join("?" * len(LIVE))
    rows = connection.execute(f"SELECT id FROM containers WHERE state IN ({marks})", LIVE)  # noqa: S608
    return {row[0] for row in rows}
