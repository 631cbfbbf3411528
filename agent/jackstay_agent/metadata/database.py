"""The agent's database: one SQLite file, one writer thread, one reader thread.

Guarantees: a write is one transaction, durable when `write` returns (WAL, ``synchronous=FULL``), all of it or none;
foreign keys hold; migrations are numbered, run once each, in one transaction each; on a disk that others have filled,
thousands of transactions still find room, since without them nothing could be removed from it. Leaves to others: what
the rows mean. The SQL lives in the siblings of this file as functions of a connection, so that one transaction can be
made of several of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import TypeVar

from jackstay_agent import faults
from jackstay_agent.errors import DiskFull, Error
from jackstay_agent.kernel import syscalls

T = TypeVar("T")

RESERVE = 8 << 20
"""Bytes kept free for the database behind the end of its file, and of its write-ahead log, which is begun anew when it
has half of that."""

_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})


class Database:
    """An open database. Made by `open`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="database-writer")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="database-reader")
        self._write_connection: sqlite3.Connection | None = None
        self._read_connection: sqlite3.Connection | None = None

    @classmethod
    async def open(cls, path: str) -> Database:
        """Open *path*, made if it is missing, and bring its schema up to date.

        Raises `Error` for a file that is not a database or comes from a newer agent.
        """
        database = cls(path)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(database._writer, database._connect)
        except sqlite3.DatabaseError as error:
            await database.close()
            raise Error(f"{path}: {error}", hint="move the file away or restore it from a backup") from error
        except BaseException:
            await database.close()
            raise
        return database

    async def write(self, label: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run *work* as one durable transaction; an exception from it rolls back and is raised here.

        *label* names the transaction's fault points, ``metadata.LABEL`` before and ``metadata.LABEL.committed`` after.
        A cancelled caller does not cut the transaction: it ends either way.
        """
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._transact, label, work)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run *work*, which must only read, on one consistent state."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._look, work)

    async def close(self) -> None:
        """Close the connections after what is under way."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._reader, self._close_reader)
        await loop.run_in_executor(self._writer, self._close_writer)
        await asyncio.to_thread(self._reader.shutdown)
        await asyncio.to_thread(self._writer.shutdown)

    def _connect(self) -> None:
        _reserve(self._path)  # before SQLite has it open: whoever closes a file takes all of the process's locks off it
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=30, check_same_thread=False)
        self._write_connection = connection
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        migrate(connection)
        _reserve(f"{self._path}-wal")
        reader = sqlite3.connect(self._path, isolation_level=None, timeout=30, check_same_thread=False)
        self._read_connection = reader
        reader.row_factory = sqlite3.Row
        reader.execute("PRAGMA query_only = ON")

    def _transact(self, label: str, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._write_connection
        assert connection is not None, "the database is closed"
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                faults.point(f"metadata.{label}")
                connection.execute("COMMIT")
                faults.point(f"metadata.{label}.committed")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode in _FULL:
                raise DiskFull(
                    f"no space left for the agent's database {self._path}", hint="free space on the host, then retry"
                ) from error
            raise
        return result

    def _look(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._read_connection
        assert connection is not None, "the database is closed"
        connection.execute("BEGIN")
        try:
            return work(connection)
        finally:
            connection.execute("ROLLBACK")

    def _close_reader(self) -> None:
        if self._read_connection is not None:
            self._read_connection.close()
            self._read_connection = None

    def _close_writer(self) -> None:
        if self._write_connection is not None:
            self._write_connection.close()
            self._write_connection = None


def _reserve(path: str) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return  # SQLite says better what is wrong with it
    try:
        with contextlib.suppress(OSError):  # a full disk, or a filesystem that cannot: no reserve then
            syscalls.reserve(descriptor, RESERVE)
    finally:
        os.close(descriptor)


def migrate(connection: sqlite3.Connection) -> None:
    """Run the migrations that *connection*'s file has not seen. Raises `Error` when the file is from a newer agent."""
    scripts = sorted(
        (
            entry
            for entry in resources.files("jackstay_agent.metadata.migrations").iterdir()
            if entry.name.endswith(".sql")
        ),
        key=lambda entry: entry.name,
    )
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(scripts):
        raise Error(
            f"the database is of schema {version}, this agent knows {len(scripts)}",
            hint="install an agent at least as new as the one that ran here last",
        )
    for number, script in enumerate(scripts[version:], start=version + 1):
        faults.point("metadata.migrate")
        connection.executescript(f"BEGIN IMMEDIATE; {script.read_text()}; PRAGMA user_version = {number}; COMMIT;")
        faults.point("metadata.migrate.committed")
