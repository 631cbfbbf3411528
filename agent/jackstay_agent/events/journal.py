"""The events on disk: one small SQLite file of their own, so that they cost the agent's database nothing.

Guarantees: what `append` took is there after the agent was killed; after a power cut the last moments may be missing,
but never the file (WAL, ``synchronous=NORMAL``). At most `EVENTS` of the last `DAYS` days, in about `BYTES` bytes. A
file that is damaged is put aside and begun anew, and where none can be opened, as on a full disk, events are kept in
memory: no event is worth an agent that does not start. Blocking; for one thread at a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Sequence

import structlog

from jackstay_agent import faults
from jackstay_agent.events.event import Event

EVENTS = 100_000
DAYS = 30
BYTES = 64 << 20
_DAY_NS = 86_400 * 10**9
_PRUNE_EVERY = 1000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY, time INTEGER NOT NULL, type TEXT NOT NULL, action TEXT NOT NULL, id TEXT NOT NULL,
    attributes TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_time ON events (time);
"""

_log = structlog.get_logger("events")

Numbered = tuple[int, Event]


class Journal:
    """An open file of events. Made by `open_at`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._since_pruned = 0

    @classmethod
    def open_at(cls, path: str, now: int) -> Journal:
        """Open *path*, made if it is missing or damaged; *now* in nanoseconds since 1970. Never raises."""
        try:
            try:
                journal = cls(_connect(path))
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):  # no room, no right: another file would not help
                    raise
                _log.warning("the events are damaged, and begin anew", path=path, error=str(error))
                _put_aside(path)
                journal = cls(_connect(path))
            journal.prune(now)
        except (sqlite3.Error, OSError) as error:
            _log.warning("events are kept in memory only", path=path, error=str(error))
            journal = cls(_connect(":memory:"))
        return journal

    def last(self) -> int:
        """The highest number given; 0 for none."""
        found = self._connection.execute("SELECT max(number) FROM events").fetchone()[0]
        return int(found or 0)

    def append(self, events: Sequence[Numbered], now: int) -> None:
        """Add *events* in one transaction. Raises `sqlite3.Error`, and has added none then."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(
                "INSERT OR REPLACE INTO events (number, time, type, action, id, attributes) VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (number, event.time, event.type, event.action, event.id, json.dumps(dict(event.attributes)))
                    for number, event in events
                ],
            )
            faults.point("events.append")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._since_pruned += len(events)
        if self._since_pruned >= _PRUNE_EVERY:
            with contextlib.suppress(sqlite3.Error):  # they are written; the next batch, or the next start, prunes
                self.prune(now)

    def read(self, after: int, to: int, limit: int, fits: Callable[[Event], bool]) -> tuple[list[Event], int | None]:
        """The events that *fits* likes of at most *limit* with numbers above *after* and up to *to*, in order.

        And the highest number looked at; None when there are no more.
        """
        wanted, last = [], None
        for row in self._connection.execute(
            "SELECT number, time, type, action, id, attributes FROM events WHERE number > ? AND number <= ?"
            " ORDER BY number LIMIT ?",
            (after, to, limit),
        ):
            last = int(row[0])
            event = Event(row[2], row[3], row[4], json.loads(row[5]), row[1])
            if fits(event):
                wanted.append(event)
        return wanted, last

    def before(self, time: int) -> int:
        """The number below which no event is of *time* or later; the last number when none is."""
        found = self._connection.execute("SELECT min(number) FROM events WHERE time >= ?", (time,)).fetchone()[0]
        return self.last() if found is None else int(found) - 1

    def prune(self, now: int) -> None:
        """Delete what is too old or too much."""
        self._since_pruned = 0
        connection = self._connection
        last = self.last()
        connection.execute("DELETE FROM events WHERE number <= ? OR time < ?", (last - EVENTS, now - DAYS * _DAY_NS))
        while self._used() > BYTES:
            first = connection.execute("SELECT min(number) FROM events").fetchone()[0]
            if first is None:
                return
            connection.execute("DELETE FROM events WHERE number <= ?", (first + (last - first) // 4,))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _used(self) -> int:
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)


def _connect(path: str) -> sqlite3.Connection:
    if path != ":memory:":
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, timeout=5, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_SCHEMA)
        connection.execute("SELECT number, time, type, action, id, attributes FROM events LIMIT 1").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _put_aside(path: str) -> None:
    for end in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + end)
    faults.point("events.put_aside")
    os.replace(path, f"{path}.damaged")
