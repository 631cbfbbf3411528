"""Volumes and who mounts them: the SQL."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VolumeRow:
    """One row of ``volumes``, with the containers that mount it."""

    name: str
    created: int  # nanoseconds since 1970
    anonymous: bool
    labels: dict[str, str]
    users: tuple[str, ...]  # ids of containers, sorted


def add(connection: sqlite3.Connection, name: str, created: int, anonymous: bool, labels: Mapping[str, str]) -> None:
    """Make the row of *name*, unless it is there."""
    connection.execute(
        "INSERT OR IGNORE INTO volumes (name, created, anonymous, labels) VALUES (?, ?, ?, ?)",
        (name, created, int(anonymous), json.dumps(dict(labels))),
    )


def volume(connection: sqlite3.Connection, name: str) -> VolumeRow | None:
    """The row of *name*, or None."""
    row = connection.execute("SELECT * FROM volumes WHERE name = ?", (name,)).fetchone()
    return _row(connection, row) if row else None


def volumes(connection: sqlite3.Connection) -> list[VolumeRow]:
    """Every row, by name."""
    return [_row(connection, row) for row in connection.execute("SELECT * FROM volumes ORDER BY name").fetchall()]


def names(connection: sqlite3.Connection) -> set[str]:
    """The name of every row."""
    return {row["name"] for row in connection.execute("SELECT name FROM volumes")}


def delete(connection: sqlite3.Connection, name: str) -> bool:
    """Delete the row of *name*, which nothing may mount; whether there was one."""
    return connection.execute("DELETE FROM volumes WHERE name = ?", (name,)).rowcount > 0


def add_use(connection: sqlite3.Connection, container: str, name: str) -> None:
    """Note that *container* mounts *name*."""
    connection.execute("INSERT OR IGNORE INTO volume_uses (container, volume) VALUES (?, ?)", (container, name))


def anonymous_of(connection: sqlite3.Connection, container: str) -> list[str]:
    """The anonymous volumes that *container* mounts and no other."""
    rows = connection.execute(
        "SELECT v.name FROM volumes v JOIN volume_uses u ON u.volume = v.name WHERE v.anonymous AND u.container = ?1"
        " AND NOT EXISTS (SELECT 1 FROM volume_uses o WHERE o.volume = v.name AND o.container <> ?1) ORDER BY v.name",
        (container,),
    )
    return [row["name"] for row in rows]


def names_of(connection: sqlite3.Connection, containers: tuple[str, ...]) -> list[str]:
    """The names of *containers* (ids)."""
    return [
        connection.execute("SELECT name FROM containers WHERE id = ?", (container,)).fetchone()["name"]
        for container in containers
    ]


def _row(connection: sqlite3.Connection, row: sqlite3.Row) -> VolumeRow:
    users = connection.execute(
        "SELECT container FROM volume_uses WHERE volume = ? ORDER BY container", (row["name"],)
    ).fetchall()
    return VolumeRow(
        row["name"],
        row["created"],
        bool(row["anonymous"]),
        json.loads(row["labels"]),
        tuple(user["container"] for user in users),
    )
