"""Collection: deletes the blobs and snapshots that nothing needs.

Guarantees: rows go first, in one transaction; then files, so that a cut leaves files without rows, which the next start
removes, and never a row without its file. May run beside loads and commits: what they lease is kept, and a file is
deleted inside a transaction that sees whether it was leased since. What a lease kept from a collection is collected
when that lease ends. One collection runs at a time. Leaves to others: a row whose file is gone (`system check` names
it, a fetch repairs it).
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import structlog

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import Error
from jackstay_agent.gc import mark
from jackstay_agent.kernel.threads import to_end
from jackstay_agent.metadata.database import Database
from jackstay_oci.digest import Digest

_AT_ONCE = 64

_log = structlog.get_logger("gc")


class Sweeper(Protocol):
    """What is needed of a snapshotter."""

    async def sweep(self) -> int:
        """Delete the files of every snapshot that has no row; how many."""
        ...


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection deleted; *bytes* is that of blobs and of layers unpacked."""

    blobs: int
    snapshots: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _Rows:
    """What one transaction deleted, and the leases that it found alive."""

    blobs: list[tuple[str, int]]
    snapshots: list[int]
    leases: set[str]


class Collector:
    """Collects in one agent's database, content store and snapshotter."""

    def __init__(self, database: Database, content: ContentStore, snapshotter: Sweeper) -> None:
        self._database = database
        self._content = content
        self._snapshotter = snapshotter
        self._turn = asyncio.Lock()
        self._held: set[str] = set()  # leases that were alive in a collection, and may have kept something from it
        self._doomed: set[Digest] = set()  # blobs whose rows went, and whose files are here yet
        self._unswept = False  # the same of snapshots
        self._due = False
        self._later: asyncio.Task[None] | None = None
        content.released = self.released

    async def collect(self) -> Collected:
        """Delete what nothing needs now. A caller that comes while another collects waits, then collects itself.

        A cancelled caller waits for the end: files whose rows are gone already would lie there until the next start.
        """
        return await to_end(self._collect())

    def released(self, lease: str) -> None:
        """The *lease* has ended: collect in the background what it alone may have kept from a collection."""
        if lease in self._held or self._doomed:
            self._held.discard(lease)
            self.soon()

    def soon(self) -> None:
        """Collect in the background: something may be needed by nobody any more."""
        self._due = True
        if self._later is None or self._later.done():
            self._later = asyncio.create_task(self._catch_up())

    async def settle(self) -> None:
        """Wait until no collection is under way or due."""
        while self._later is not None and not self._later.done():
            await asyncio.wait([self._later])
        async with self._turn:
            return

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """No collection is under way in the block; those that come wait for its end."""
        await self.settle()
        async with self._turn:
            yield

    async def _catch_up(self) -> None:
        while self._due:
            self._due = False
            try:
                await self._collect()
            except (Error, OSError) as error:  # a full disk, a broken one: whoever makes room collects again
                _log.warning("cannot collect", error=str(error))

    async def _collect(self) -> Collected:
        async with self._turn:
            rows = await self._database.write("gc.rows", _delete_rows)
            self._held = rows.leases
            self._doomed.update(Digest(digest) for digest, _size in rows.blobs)
            self._unswept = self._unswept or bool(rows.snapshots)
            doomed = sorted(self._doomed)
            for start in range(0, len(doomed), _AT_ONCE):
                await self._delete_files(doomed[start : start + _AT_ONCE])
            if self._unswept:
                await self._snapshotter.sweep()
                self._unswept = False
            size = sum(size for _digest, size in rows.blobs) + sum(rows.snapshots)
            return Collected(len(rows.blobs), len(rows.snapshots), size)

    async def _delete_files(self, digests: Sequence[Digest]) -> None:
        """Delete the files of *digests*, but those that somebody leased meanwhile: they are looked at again."""

        def work(connection: sqlite3.Connection) -> set[Digest]:
            done = set(digests)
            for digest in digests:
                # Who needs the blob writes a lease before looking for its file, so one of us two sees the other.
                if not mark.wanted(connection, digest):
                    self._content.blobs.delete(digest)
                elif not mark.has_row(connection, digest):
                    done.discard(digest)
            return done

        self._doomed -= await self._database.write("gc.files", work)


def _delete_rows(connection: sqlite3.Connection) -> _Rows:
    now = time.time_ns()
    mark.delete_leases(connection, now)
    return _Rows(mark.delete_blobs(connection, now), mark.delete_snapshots(connection, now), mark.leases(connection))
