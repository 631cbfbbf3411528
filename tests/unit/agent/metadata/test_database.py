from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from jackstay_agent.errors import Error
from jackstay_agent.metadata.database import Database


async def test_a_write_is_all_or_nothing_and_seen_by_reads(tmp_path: Path) -> None:
    database = await Database.open(str(tmp_path / "db"))
    try:
        await database.write("t", lambda c: c.execute("INSERT INTO blobs VALUES ('a', 1, 2)"))

        def half(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO blobs VALUES ('b', 1, 2)")
            raise RuntimeError("cut")

        with pytest.raises(RuntimeError):
            await database.write("t", half)
        rows = await database.read(lambda c: c.execute("SELECT digest FROM blobs").fetchall())
        assert [row["digest"] for row in rows] == ["a"]
    finally:
        await database.close()


async def test_reads_cannot_write(tmp_path: Path) -> None:
    database = await Database.open(str(tmp_path / "db"))
    try:
        with pytest.raises(sqlite3.OperationalError):
            await database.read(lambda c: c.execute("DELETE FROM blobs"))
    finally:
        await database.close()


async def test_foreign_keys_hold_and_survive_reopening(tmp_path: Path) -> None:
    for _ in range(2):
        database = await Database.open(str(tmp_path / "db"))
        try:
            with pytest.raises(sqlite3.IntegrityError):
                await database.write("t", lambda c: c.execute("INSERT INTO names VALUES ('n', 'nothing')"))
        finally:
            await database.close()


async def test_a_database_of_a_newer_agent_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(Error, match="schema 999"):
        await Database.open(str(path))


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.write_bytes(b"not a database, but long enough to have a header of a hundred bytes" * 4)
    with pytest.raises(Error, match="not a database"):
        await Database.open(str(path))


async def test_writes_are_durable(tmp_path: Path) -> None:
    database = await Database.open(str(tmp_path / "db"))
    try:
        settings = await database.write(
            "t",
            lambda c: (c.execute("PRAGMA journal_mode").fetchone()[0], c.execute("PRAGMA synchronous").fetchone()[0]),
        )
        assert settings == ("wal", 2)
    finally:
        await database.close()
