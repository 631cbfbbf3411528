"""Collection: deletes the blobs and snapshots that nothing needs.

Guarantees: rows go first, in one transaction; then files, so that a cut leaves files without rows, which the next start
removes, and never a row without its file. May run beside loads and commits: what they lease is kept, and a file is
deleted inside a transaction that sees whether it was leased since. One collection runs at a time. Leaves to others: a
row whose file is gone (`system check` names it, a fetch repairs it).
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jackstay_agent.content.store import ContentStore
from jackstay_agent.gc import mark
from jackstay_agent.kernel.threads import to_end
from jackstay_agent.metadata.database import Database
from jackstay_oci.digest import Digest

_AT_ONCE = 64


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


class Collector:
    """Collects in one agent's database, content store and snapshotter."""

    def __init__(self, database: Database, content: ContentStore, snapshotter: Sweeper) -> None:
        self._database = database
        self._content = content
        self._snapshotter = snapshotter
        self._turn = asyncio.Lock()

    async def collect(self) -> Collected:
        """Delete what nothing needs now. A caller that comes while another collects waits, then collects itself.

        A cancelled caller waits for the end: files whose rows are gone already would lie there until the next start.
        """
        return await to_end(self._collect())

    async def settle(self) -> None:
        """Wait for the end of a collection under way, if there is one."""
        async with self._turn:
            return

    async def _collect(self) -> Collected:
        async with self._turn:
            blobs, snapshots = await self._database.write("gc.rows", _delete_rows)
            for start in range(0, len(blobs), _AT_ONCE):
                await self._delete_files([Digest(digest) for digest, _size in blobs[start : start + _AT_ONCE]])
            if snapshots:
                await self._snapshotter.sweep()
            return Collected(len(blobs), len(snapshots), sum(size for _digest, size in blobs) + sum(snapshots))

    async def _delete_files(self, digests: Sequence[Digest]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            for digest in digests:
                # Who needs the blob writes a lease before looking for its file, so one of us two sees the other.
                if not mark.wanted(connection, digest):
                    self._content.blobs.delete(digest)

        await self._database.write("gc.files", work)


def _delete_rows(connection: sqlite3.Connection) -> tuple[list[tuple[str, int]], list[int]]:
    now = time.time_ns()
    mark.delete_leases(connection, now)
    return mark.delete_blobs(connection, now), mark.delete_snapshots(connection, now)
