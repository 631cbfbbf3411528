"""Checking the database itself: SQLite's own look at the file, and rows that name rows which are not there.

Such rows come about only when the file was damaged or changed by hand, since the agent's own connection enforces them.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from jackstay_agent.checking.findings import Finding
from jackstay_agent.checking.parts import Parts
from jackstay_oci.reference import Reference

_LINKS = (
    "names", "blob_references", "artifacts", "artifact_names", "lease_items", "volume_uses", "secret_uses",
    "endpoints", "ports",
)  # fmt: skip
"""Tables whose rows mean nothing without the row that they name; with it goes nothing that anybody has."""

_TOLD = 8


@dataclass(frozen=True, slots=True)
class _Dangling:
    table: str
    rowid: int | None  # None in a table that has none
    parent: str
    name: str


class DatabaseCheck:
    """One check of the database."""

    def __init__(self, parts: Parts, *, repair: bool) -> None:
        self._parts = parts
        self._repair = repair

    async def run(self) -> AsyncGenerator[Finding, None]:
        """The file, then the rows."""
        for line in await self._parts.database.read(_integrity):
            hint = "stop jackstayd, restore the file from a backup or move the agent's state away, and load again"
            yield Finding("wrong", "database", "jackstay.db", line, hint=hint)
        for dangling in await self._parts.database.read(_dangling):
            yield await self._finding(dangling)

    async def _finding(self, dangling: _Dangling) -> Finding:
        detail = f"it names a row of {dangling.parent} that is not there"
        name = f"{dangling.table} {dangling.name}".rstrip()
        if dangling.table not in _LINKS:
            hint = "remove the image or container that it belongs to, and load the image again"
            return Finding("wrong", "database", name, detail, hint=hint)
        if self._repair:
            await self._parts.database.write("checking.dangling", _delete_dangling)
        hint = "" if self._repair else "run system check --repair"
        if dangling.table == "names":
            name, detail = Reference.parse(dangling.name).familiar, "the name means an image that is not here"
            return Finding("wrong", "image", name, detail, self._repair, hint)
        return Finding("wrong", "database", name, detail, self._repair, hint)


def _integrity(connection: sqlite3.Connection) -> list[str]:
    """What SQLite finds wrong with the file, a line each; few of many."""
    try:
        found = [line for row in connection.execute("PRAGMA integrity_check") for line in str(row[0]).splitlines()]
    except sqlite3.DatabaseError as error:  # so damaged that it cannot be looked at
        return [str(error)]
    return [line for line in found if line != "ok" and not _mistaken(connection, line)][:_TOLD]


def _mistaken(connection: sqlite3.Connection, line: str) -> bool:
    """Whether *line* tells of a NULL that is not there.

    SQLite 3.40 does so in a table WITHOUT ROWID whose key is not made of its first columns.
    """
    told = re.fullmatch(r"NULL value in (\w+)\.(\w+)", line)
    if told is None:
        return False
    table, column = told.groups()
    return connection.execute(f"SELECT 1 FROM {table} WHERE {column} IS NULL").fetchone() is None  # noqa: S608 - the schema's own names


def _dangling(connection: sqlite3.Connection) -> list[_Dangling]:
    found = []
    for table, rowid, parent, _number in connection.execute("PRAGMA foreign_key_check").fetchall():
        if (table, parent) in (("images", "blobs"), ("snapshots", "snapshots")):
            continue  # told of, and put right, with the blobs and the layers
        name = ""
        if rowid is not None:
            row = connection.execute(f"SELECT * FROM {table} WHERE rowid = ?", (rowid,)).fetchone()  # noqa: S608 - a table's own name
            name = str(row[0])
        found.append(_Dangling(table, rowid, parent, name))
    return found


def _delete_dangling(connection: sqlite3.Connection) -> None:
    """Delete the rows of `_LINKS` that name nothing."""
    for table in _LINKS:
        for key in connection.execute(f"PRAGMA foreign_key_list({table})").fetchall():
            connection.execute(
                f"DELETE FROM {table} WHERE {key['from']} IS NOT NULL"  # noqa: S608 - the schema's own names
                f" AND {key['from']} NOT IN (SELECT {key['to']} FROM {key['table']})"
            )
