"""The folders that snapshots are kept in, one for each row, by its id.

On disk, below the root: ``snapshots/<id>/fs`` is what a driver keeps of one snapshot, and ``view`` a place for private
mounts. A folder is made as ``new-…`` and gets its id inside the transaction that makes its row; it becomes
``removing-…`` after the one that ends the row. So the rows are the truth: whatever has none is rubbish, and a sweep
takes it away. An id is given out again when its transaction is rolled back, and then only: a folder without a row is
moved inside a transaction, so that it is never the next one's. Leaves to a driver what is in a folder, and to
`folder_snapshotter` the rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Container

import structlog

from jackstay_agent import faults
from jackstay_agent.errors import Error, NotFound
from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.kernel.threads import acquire, finish

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_REMOVING = "removing-"

log = structlog.get_logger()


class Folders:
    """The folders below *root*, which is made when it is missing. *deletes* is the job that deletes one of them: its
    argument is the name, its descriptor that of `snapshots`."""

    def __init__(self, root: str, jobs: Jobs, deletes: str) -> None:
        self.snapshots = os.path.join(root, "snapshots")
        self.view = os.path.join(root, "view")
        self._jobs = jobs
        self._deletes = deletes
        self._new: set[str] = set()  # folders that wait for their row
        self._deleting: dict[str, asyncio.Task[None]] = {}

    def path(self, number: int) -> str:
        """What a driver keeps of the snapshot with the id *number*."""
        return f"{self.snapshots}/{number}/fs"

    async def open(self, number: int, key: str) -> int:
        """A descriptor of it; *key* is for the message. Raises `NotFound`."""
        return await acquire(self._open, os.close, number, key)

    def reserve(self) -> str:
        """A name for a folder that is to get a row: no sweep takes it until `release`."""
        name = f"new-{secrets.token_hex(8)}"
        self._new.add(name)
        return name

    def release(self, name: str) -> None:
        """The folder *name* has its row, or is deleted."""
        self._new.discard(name)

    async def make(self, name: str) -> str:
        """Make the folder *name*, which was reserved; its path."""
        await finish(self._make, name)
        return f"{self.snapshots}/{name}"

    def rename(self, name: str, number: int, *, durable: bool) -> None:
        """Give the new folder *name* the id of the row that is being made; *durable*: the folder is on disk before the
        row. For inside that transaction."""
        final = f"{self.snapshots}/{number}"
        self._set_aside(str(number))
        os.rename(f"{self.snapshots}/{name}", final)
        faults.point("layers.prepare.renamed")
        if not durable:
            return
        snapshots = os.open(self.snapshots, _FOLDER)
        try:
            # The rename cannot be on disk without the folder that it moved, so one fsync covers both.
            os.fsync(snapshots)
            faults.point("layers.prepare.synced")
        finally:
            os.close(snapshots)

    def strange(self, known: Container[int]) -> list[str]:
        """The names of folders that belong to none of the ids *known*. For inside a transaction, so that no folder is
        looked at between its rename and its row."""
        self._make_root()
        with os.scandir(self.snapshots) as entries:
            return [
                entry.name
                for entry in entries
                if not (entry.name.isdecimal() and int(entry.name) in known) and entry.name not in self._new
            ]

    def set_aside(self, known: Container[int]) -> list[str]:
        """Rename every folder that belongs to none of the ids *known*, so that it is no snapshot's whatever id is given
        out next; the new names of those that nobody deletes yet. For inside a transaction."""
        return [self._set_aside(name) for name in self.strange(known) if name not in self._deleting]

    async def delete(self, name: str) -> None:
        """Delete the folder *name*, whose row is gone for good; a failure is told to the log and left to a sweep.

        Goes on when the caller is cancelled.
        """
        aside = name if name.startswith(_REMOVING) else f"{_REMOVING}{name}"
        task = self._deleting[aside] = asyncio.ensure_future(self._delete(name, aside))
        task.add_done_callback(lambda _task: self._deleting.pop(aside, None))
        await asyncio.shield(task)

    async def deleted(self) -> None:
        """Wait for the deletions that are under way."""
        if self._deleting:
            await asyncio.wait(tuple(self._deleting.values()))

    async def _delete(self, name: str, aside: str) -> None:
        try:
            snapshots = await acquire(self._open_aside, os.close, name, aside)
            try:
                await self._jobs.run(self._deletes, aside, [snapshots])
            finally:
                os.close(snapshots)
        except (Error, OSError) as error:
            log.warning("a removed layer is still on disk", folder=name, error=str(error))

    def _open_aside(self, name: str, aside: str) -> int:
        """Rename the folder *name* to *aside*; a descriptor of where it lies."""
        if name != aside:
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{self.snapshots}/{name}", f"{self.snapshots}/{aside}")
            faults.point("layers.remove.renamed")
        return os.open(self.snapshots, _FOLDER)

    def _set_aside(self, name: str) -> str:
        if name.startswith(_REMOVING):
            return name
        aside = f"{_REMOVING}{secrets.token_hex(8)}"
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{self.snapshots}/{name}", f"{self.snapshots}/{aside}")
            faults.point("layers.set_aside")
        return aside

    def _make(self, name: str) -> None:
        self._make_root()
        os.mkdir(f"{self.snapshots}/{name}", 0o700)

    def _make_root(self) -> None:
        for folder in (self.snapshots, self.view):
            os.makedirs(folder, mode=0o700, exist_ok=True)

    def _open(self, number: int, key: str) -> int:
        try:
            return os.open(self.path(number), _FOLDER)
        except FileNotFoundError as error:
            raise NotFound(
                f"the files of snapshot {key} are missing from {self.snapshots}/{number}",
                hint="run system check on this host",
            ) from error
