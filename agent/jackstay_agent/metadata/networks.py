"""Networks, the containers' endpoints in them and the published ports: the SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

LIVE = ("starting", "running", "paused")
"""States of a container in which its network namespace is in use."""


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """One row of ``networks``."""

    id: str
    name: str
    driver: str
    bridge: str
    subnet: str  # CIDR
    gateway: str
    created: int  # nanoseconds since 1970


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """One row of ``endpoints``, with its container's name."""

    container: str
    name: str
    network: str
    address: str
    mac: str
    interface: str
    active: bool


@dataclass(frozen=True, slots=True)
class PortRow:
    """One row of ``ports``, with the address of its container."""

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
        connection.execute(
            "INSERT INTO networks (id, name, driver, bridge, subnet, gateway, created) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (wanted.id, wanted.name, wanted.driver, wanted.bridge, wanted.subnet, wanted.gateway, wanted.created),
        )
        return wanted
    used = connection.execute("SELECT 1 FROM endpoints WHERE network = ?", (found.id,)).fetchone()
    if not used and (found.bridge, found.subnet, found.gateway) != (wanted.bridge, wanted.subnet, wanted.gateway):
        connection.execute(
            "UPDATE networks SET bridge = ?, subnet = ?, gateway = ? WHERE id = ?",
            (wanted.bridge, wanted.subnet, wanted.gateway, found.id),
        )
    return network(connection, wanted.name) or wanted


def network(connection: sqlite3.Connection, name: str) -> NetworkRow | None:
    """The network called *name*, or None."""
    row = connection.execute(
        "SELECT id, name, driver, bridge, subnet, gateway, created FROM networks WHERE name = ?", (name,)
    ).fetchone()
    return NetworkRow(*row) if row else None


def networks(connection: sqlite3.Connection) -> list[NetworkRow]:
    """Every network, by name."""
    return [
        NetworkRow(*row)
        for row in connection.execute(
            "SELECT id, name, driver, bridge, subnet, gateway, created FROM networks ORDER BY name"
        )
    ]


def add_endpoint(
    connection: sqlite3.Connection, container: str, network_id: str, address: str, mac: str, interface: str
) -> None:
    """Give *container* a place in a network."""
    connection.execute(
        "INSERT INTO endpoints (container, network, address, mac, interface) VALUES (?, ?, ?, ?, ?)",
        (container, network_id, address, mac, interface),
    )


def endpoints(
    connection: sqlite3.Connection, *, container: str | None = None, network_id: str | None = None
) -> list[EndpointRow]:
    """The endpoints of a container, of a network, or all."""
    rows = connection.execute(
        "SELECT e.container, c.name, e.network, e.address, e.mac, e.interface, e.active"
        " FROM endpoints e JOIN containers c ON c.id = e.container"
        " WHERE (?1 IS NULL OR e.container = ?1) AND (?2 IS NULL OR e.network = ?2) ORDER BY e.rowid",
        (container, network_id),
    )
    return [EndpointRow(*(*row[:6], bool(row[6]))) for row in rows]


def activate(connection: sqlite3.Connection, container: str, ports: Iterable[PortRow]) -> None:
    """Mark *container*'s endpoints active and write the ports that it has bound, instead of those written before."""
    connection.execute("DELETE FROM ports WHERE container = ?", (container,))
    connection.execute("UPDATE endpoints SET active = 1 WHERE container = ?", (container,))
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
        " FROM ports p JOIN endpoints e ON e.container = p.container"
        " WHERE ?1 IS NULL OR p.container = ?1 ORDER BY p.protocol, p.host_port, p.host_ip",
        (container,),
    )
    return [PortRow(*row) for row in rows]


def live_containers(connection: sqlite3.Connection) -> set[str]:
    """Ids of the containers that may have a process."""
    marks = ", ".join("?" * len(LIVE))
    rows = connection.execute(f"SELECT id FROM containers WHERE state IN ({marks})", LIVE)  # noqa: S608
    return {row[0] for row in rows}
