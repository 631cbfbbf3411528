"""Secrets and the containers that get them: the SQL. Values are never rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SecretRow:
    """One row of ``secrets``."""

    name: str
    id: str  # also what the file with the value is called
    created: int  # nanoseconds since 1970
    updated: int
    labels: dict[str, str]


def put(connection: sqlite3.Connection, name: str, new: str, now: int, labels: Mapping[str, str]) -> SecretRow:
    """Make the row of *name*, or give the one that is there the id *new*, *labels* and a new time; the row."""
    row = connection.execute(
        "INSERT INTO secrets (name, id, created, updated, labels) VALUES (?1, ?2, ?3, ?3, ?4)"
        " ON CONFLICT (name) DO UPDATE SET id = ?2, updated = ?3, labels = ?4 RETURNING *",
        (name, new, now, json.dumps(dict(labels))),
    ).fetchone()
    return _row(row)


def secret(connection: sqlite3.Connection, name: str) -> SecretRow | None:
    """The row of *name*, or None."""
    row = connection.execute("SELECT * FROM secrets WHERE name = ?", (name,)).fetchone()
    return _row(row) if row else None


def secrets(connection: sqlite3.Connection) -> list[SecretRow]:
    """Every row, by name."""
    return [_row(row) for row in connection.execute("SELECT * FROM secrets ORDER BY name").fetchall()]


def delete(connection: sqlite3.Connection, name: str) -> None:
    """Delete the row of *name*, which no container may use."""
    connection.execute("DELETE FROM secrets WHERE name = ?", (name,))


def add_use(connection: sqlite3.Connection, container: str, name: str) -> None:
    """Note that *container* gets *name*."""
    connection.execute("INSERT OR IGNORE INTO secret_uses (container, secret) VALUES (?, ?)", (container, name))


def users(connection: sqlite3.Connection, name: str) -> list[str]:
    """The names of the containers that get *name*, sorted."""
    rows = connection.execute(
        "SELECT c.name FROM containers c JOIN secret_uses u ON u.container = c.id WHERE u.secret = ? ORDER BY c.name",
        (name,),
    )
    return [row["name"] for row in rows]


def _row(row: sqlite3.Row) -> SecretRow:
    return SecretRow(row["name"], row["id"], row["created"], row["updated"], json.loads(row["labels"]))
