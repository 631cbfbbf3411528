"""What of the containers' places in networks still holds when the agent starts: SQL, and what follows from it."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from jackstay_agent.metadata import networks as rows
from jackstay_agent.metadata.networks import PortRow


@dataclass(frozen=True, slots=True)
class Recovered:
    """What holds: the containers that may have a process, the links of theirs with their bridges, their ports."""

    living: set[str]
    interfaces: dict[str, str]
    ports: list[PortRow]


def settle(connection: sqlite3.Connection, there: Collection[str]) -> Recovered:
    """Take from the rows what is over, *there* being the links that the host has.

    A container that does not live, or has lost all its links, has no active place and no port. A place that one that
    lives was getting when the agent died goes: its link may be half made.
    """
    living = rows.live_containers(connection)
    places = rows.endpoints(connection)
    kept = {row.container for row in places if row.active and row.container in living and row.interface in there}
    ports = rows.ports(connection)
    gone = {row.container for row in places if row.active} | {row.container for row in ports}
    for container in gone - kept:
        rows.deactivate(connection, container)
    for row in places:
        if row.container in kept and not row.active:
            rows.delete_endpoint(connection, row.container, row.network)
    bridges = {row.id: row.bridge for row in rows.networks(connection)}
    return Recovered(
        living,
        {row.interface: bridges[row.network] for row in places if row.container in kept and row.active},
        [port for port in ports if port.container in kept],
    )
