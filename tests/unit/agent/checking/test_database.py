"""The check of the database file: what SQLite says is believed, but for what it gets wrong."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from jackstay_agent.checking import database as checking
from jackstay_agent.metadata.database import Database


def fill(connection: sqlite3.Connection) -> None:
    """A row in every table WITHOUT ROWID, whatever it names."""
    connection.executescript(
        """
        PRAGMA foreign_keys = OFF;
        INSERT INTO ports VALUES ('container', '', 8080, 80, 'tcp');
        INSERT INTO blob_references VALUES ('parent', 'child');
        INSERT INTO lease_items VALUES ('lease', 'blob', 'key');
        INSERT INTO volume_uses VALUES ('container', 'volume');
        """
    )


async def test_a_good_file_is_good_with_a_row_in_every_table(tmp_path: Path) -> None:
    database = await Database.open(str(tmp_path / "jackstay.db"))
    try:
        other = sqlite3.connect(tmp_path / "jackstay.db")
        fill(other)
        other.close()
        assert await database.read(checking._integrity) == []
    finally:
        await database.close()


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "jackstay.db"

    async def make() -> None:
        await (await Database.open(str(path))).close()

    asyncio.run(make())
    writer = sqlite3.connect(path)
    fill(writer)
    (root,) = writer.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'names_by_root'").fetchone()
    (page,) = writer.execute("PRAGMA page_size").fetchone()
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    writer.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * page)
        file.write(b"\xff" * 64)
    reader = sqlite3.connect(path)
    try:
        assert checking._integrity(reader)
    finally:
        reader.close()
