"""What every driver shares: the rows of snapshots, each with its folder. Implements `snapshotter.Snapshotter`.

Guarantees that row and folder come and go together (see `folders`), and that a layer's row tells until its files are
on disk (see `write_out`). Leaves to a driver, which is a subclass: what is in the folder, how it is mounted, and what
the jobs that unpack and diff need to know of the layers below.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from abc import ABC, abstractmethod
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from jackstay_agent.config import Limits
from jackstay_agent.errors import LimitExceeded, NotFound, Unsupported, WrongState, from_os_error
from jackstay_agent.kernel.boot import boot_id
from jackstay_agent.kernel.id_maps import IdRange
from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.threads import finish
from jackstay_agent.layers import apply as applying
from jackstay_agent.layers.changes import Change
from jackstay_agent.layers.folders import Folders
from jackstay_agent.layers.snapshotter import Along, Applied, Audit, Diffed, Kind, Snapshot
from jackstay_agent.layers.write_out import WriteOut
from jackstay_agent.metadata import snapshots as rows
from jackstay_agent.metadata.database import Database
from jackstay_oci.digest import Digest

_DETACHED = "detached-"


class FolderSnapshotter(ABC):
    """Keeps snapshots below the folder *root*, which is made when it is missing.

    The methods whose names begin with an underscore and that are documented here are the driver's part.
    """

    name: str
    detaches: bool
    deletes: ClassVar[str] = "jackstay_agent.layers.deleting:delete_tree"
    """The job that deletes a snapshot's folder with all that a driver put there; see `Folders`."""

    def __init__(self, root: str, database: Database, jobs: Jobs, mounts: Mounts, limits: Limits) -> None:
        self._folders = Folders(root, jobs, self.deletes)
        self._write_out = WriteOut(root, database)
        self._database = database
        self._jobs = jobs
        self._mounts = mounts
        self._limits = limits
        self._mounting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._sweeping = asyncio.Lock()

    @abstractmethod
    async def _fill(self, folder: str, kind: Kind, parent: int | None, *, durable: bool) -> None:
        """Make ``fs`` in the new *folder* (a path): what a snapshot of this *kind* on *parent* begins with.

        When it is to be *durable*, what it has of *parent* is on disk when this returns, or comes there with the
        folder. Raises `OSError`, `Error`.
        """

    @abstractmethod
    async def _settle(self, number: int) -> None:
        """A snapshot is about to be committed: nothing is to write to it any more. Undone by `_unsettle`."""

    def _attached(self, number: int, parent: int | None) -> None:
        """A detached snapshot gets its *parent*, in a transaction. Of drivers that detach."""
        raise NotImplementedError

    @abstractmethod
    async def _unsettle(self, number: int) -> None:
        """An active snapshot is about to be written to. Nearly always it is as it was made."""

    @abstractmethod
    async def _mount(self, snapshot: Snapshot, below: list[int], target: str, ids: IdRange | None) -> None:
        """Mount *snapshot*, which rests on *below* (nearest first), at *target*."""

    @abstractmethod
    def _below(self, below: list[int]) -> dict[str, Any]:
        """What lies below a snapshot, as the jobs take it: see `apply.apply_layer` and `diff.diff_layer`."""

    @abstractmethod
    async def _count(self, snapshot: Snapshot, below: list[int], folder: int) -> tuple[int, int]:
        """Bytes and inodes that a snapshot takes which is not committed; *folder* is its ``fs``."""

    async def prepare(self, key: str, parent: str | None, *, along: Along | None = None) -> Snapshot:
        """See `Snapshotter.prepare`."""
        return await self._make(key, "active", parent, along)

    async def view(self, key: str, parent: str, *, along: Along | None = None) -> Snapshot:
        """See `Snapshotter.view`."""
        return await self._make(key, "view", parent, along)

    async def prepare_detached(self, diff_id: Digest, *, along: Along | None = None) -> Snapshot:
        """See `Snapshotter.prepare_detached`."""
        self._check_detaches()
        return await self._make(_DETACHED + diff_id, "detached", None, along)

    async def attach(self, diff_id: Digest, key: str, parent: str | None, *, along: Along | None = None) -> Snapshot:
        """See `Snapshotter.attach`."""
        self._check_detaches()

        def work(connection: sqlite3.Connection) -> Snapshot:
            attached = Snapshot(**rows.attach(connection, _DETACHED + diff_id, key, parent))
            below = rows.ancestors(connection, key)
            self._attached(attached.id, below[0] if below else None)
            if along is not None:
                along(connection)
            return attached

        return await self._database.write("layers.attach", work)

    async def apply(self, key: str, blob: int, compression: str, *, growth: int | None = None) -> Applied:
        """See `Snapshotter.apply`."""
        snapshot, below = await self._find(key)
        if snapshot.kind not in ("active", "detached"):
            raise WrongState(f"snapshot {key} is {snapshot.kind}, nothing can be unpacked into it")
        target = await self._folders.open(snapshot.id, key)
        try:
            await self._unsettle(snapshot.id)
            diff_id, size, inodes, incomplete = await self._jobs.run(
                "jackstay_agent.layers.apply:apply_layer",
                {"compression": compression, "limits": applying.bounds_of(self._limits), **self._below(below)},
                [target, blob] if growth is None else [target, blob, growth],
            )
        finally:
            os.close(target)
        if snapshot.kind == "detached":
            if incomplete:
                raise Unsupported(f"layer {diff_id} can only be unpacked on top of the layers below it")
            await self._database.write("layers.filled", lambda c: rows.fill(c, key, diff_id, size, inodes))
        return Applied(Digest.parse(diff_id), size, inodes)

    async def commit(self, key: str, name: str, applied: Applied, *, along: Along | None = None) -> Snapshot:
        """See `Snapshotter.commit`."""
        own = await self.stat(key)
        await self._settle(own.id)

        def work(connection: sqlite3.Connection) -> Snapshot:
            committed = rows.commit(connection, key, name, applied.diff_id, applied.size, applied.inodes, boot)
            if along is not None:
                along(connection)
            return Snapshot(**committed)

        boot = await finish(boot_id)
        committed = await self._database.write("layers.commit", work)
        self._write_out.soon()
        if committed.id != own.id:
            await self._folders.delete(str(own.id))
        return committed

    async def mount(self, key: str, target: str, *, ids: IdRange | None = None) -> None:
        """See `Snapshotter.mount`."""
        async with self._mounting.setdefault(target, asyncio.Lock()):
            snapshot, below = await self._find(key)
            if snapshot.kind not in ("active", "view"):
                raise WrongState(f"snapshot {key} is {snapshot.kind}, only an active one or a view can be mounted")
            if target in await self._mounts.mounted(target):
                return
            if snapshot.kind == "active":
                await self._unsettle(snapshot.id)
            await self._mount(snapshot, below, target, ids)

    async def unmount(self, target: str) -> None:
        """See `Snapshotter.unmount`."""
        async with self._mounting.setdefault(target, asyncio.Lock()):
            await self._mounts.unmount(target)

    async def diff(self, key: str, out: int) -> Diffed:
        """See `Snapshotter.diff`."""
        snapshot, below = await self._find(key)
        if snapshot.kind != "active":
            raise WrongState(f"snapshot {key} is {snapshot.kind}, only an active one has changes")
        folder = await self._folders.open(snapshot.id, key)
        try:
            digest, size, empty = await self._jobs.run(
                "jackstay_agent.layers.diff:diff_layer", self._below(below), [folder, out]
            )
        finally:
            os.close(folder)
        return Diffed(Digest.parse(digest), size, empty)

    async def changes(self, key: str) -> list[Change]:
        """See `Snapshotter.changes`."""
        snapshot, below = await self._find(key)
        if snapshot.kind != "active":
            raise WrongState(f"snapshot {key} is {snapshot.kind}, only an active one has changes")
        folder = await self._folders.open(snapshot.id, key)
        try:
            told = await self._jobs.run("jackstay_agent.layers.changes:list_changes", self._below(below), [folder])
        finally:
            os.close(folder)
        return [(kind, path) for kind, path in told]

    async def usage(self, key: str) -> tuple[int, int]:
        """See `Snapshotter.usage`."""
        snapshot, below = await self._find(key)
        if snapshot.kind == "committed":
            return snapshot.size, snapshot.inodes
        folder = await self._folders.open(snapshot.id, key)
        try:
            return await self._count(snapshot, below, folder)
        finally:
            os.close(folder)

    async def stat(self, key: str) -> Snapshot:
        """See `Snapshotter.stat`."""
        return await self._database.read(lambda c: Snapshot(**rows.get(c, key)))

    async def remove(self, key: str, *, along: Along | None = None) -> None:
        """See `Snapshotter.remove`. The deletion goes on when the caller is cancelled."""

        def work(connection: sqlite3.Connection) -> int | None:
            removed = rows.remove(connection, key)
            if along is not None:
                along(connection)
            return None if removed is None else int(removed["id"])

        removed = await self._database.write("layers.remove", work)
        if removed is not None:
            await self._folders.delete(str(removed))

    async def clean(self) -> int:
        """See `Snapshotter.clean`."""
        await self._database.write("layers.clean", rows.remove_extractions)
        self._write_out.soon()  # what an agent before this one has committed
        return await self.sweep()

    async def write_out(self) -> None:
        """See `Snapshotter.write_out`."""
        await self._write_out.now()

    async def doubtful(self) -> list[str]:
        """See `Snapshotter.doubtful`."""
        boot = await finish(boot_id)
        return await self._database.read(lambda c: rows.doubtful(c, boot))

    async def trust(self, key: str) -> None:
        """See `Snapshotter.trust`."""
        await self._database.write("layers.trust", lambda c: rows.mark_unsynced(c, [rows.get(c, key)["id"]], ""))

    async def close(self) -> None:
        """See `Snapshotter.close`."""
        await self._write_out.close()

    async def sweep(self) -> int:
        """See `Snapshotter.sweep`."""
        async with self._sweeping:
            rubbish = await self._database.write("layers.sweep", lambda c: self._folders.set_aside(rows.ids(c)))
            for name in rubbish:
                await self._folders.delete(name)
            await self._folders.deleted()
            return len(rubbish)

    async def audit(self) -> Audit:
        """See `Snapshotter.audit`."""
        known, missing, strange = await self._database.write("layers.audit", self._disagreements)
        await self._folders.deleted()
        if strange:
            left = (await self._database.write("layers.audit", self._disagreements))[2]
            strange = [name for name in strange if name in left]
        return Audit(tuple(known[number] for number in missing), tuple(strange))

    async def compare(self, key: str, fresh: str) -> list[str]:
        """See `Snapshotter.compare`."""
        one = await self._folders.open((await self.stat(key)).id, key)
        try:
            other = await self._folders.open((await self.stat(fresh)).id, fresh)
            try:
                differences: list[str] = await self._jobs.run(
                    "jackstay_agent.layers.compare:compare_trees", None, [one, other]
                )
            finally:
                os.close(other)
        finally:
            os.close(one)
        return differences

    async def replace(self, key: str, fresh: str, applied: Applied, *, along: Along | None = None) -> Snapshot:
        """See `Snapshotter.replace`."""
        await self._settle((await self.stat(fresh)).id)

        def work(connection: sqlite3.Connection) -> tuple[int, Snapshot]:
            old, new = rows.replace(connection, key, fresh, applied.diff_id, applied.size, applied.inodes, boot)
            if along is not None:
                along(connection)
            return old, Snapshot(**new)

        boot = await finish(boot_id)
        old, new = await self._database.write("layers.replace", work)
        self._write_out.soon()
        await self._folders.delete(str(old))
        return new

    async def _make(self, key: str, kind: Kind, parent: str | None, along: Along | None) -> Snapshot:
        def work(connection: sqlite3.Connection) -> Snapshot:
            number = rows.add(connection, key, kind, parent)
            if len(below := rows.ancestors(connection, key)) > self._limits.layers:
                raise LimitExceeded(f"snapshot {key} rests on {len(below)} layers, the bound is {self._limits.layers}")
            if along is not None:
                along(connection)
            # Last: what is rolled back then leaves no folder.
            self._folders.rename(name, number, durable=_lasts(key, kind))
            return Snapshot(**rows.get(connection, key))

        above = None if parent is None else await self._database.read(lambda c: rows.committed(c, parent))
        name = self._folders.reserve()
        try:
            await self._fill(await self._folders.make(name), kind, above, durable=_lasts(key, kind))
            return await self._database.write("layers.prepare", work)
        except BaseException as error:
            await self._folders.delete(name)
            if isinstance(error, FileNotFoundError):  # a parent that was removed meanwhile, or has lost its files
                raise NotFound(f"the files of snapshot {parent} are missing from {self._folders.snapshots}") from error
            if isinstance(error, OSError):
                raise from_os_error(error, f"making snapshot {key}") from error
            raise
        finally:
            self._folders.release(name)

    async def _find(self, key: str) -> tuple[Snapshot, list[int]]:
        """The row of *key*, and the ids of what it rests on, nearest first."""
        return await self._database.read(lambda c: (Snapshot(**rows.get(c, key)), rows.ancestors(c, key)))

    def _disagreements(self, connection: sqlite3.Connection) -> tuple[dict[int, str], list[int], list[str]]:
        """Keys by id, ids without a folder, folders without an id."""
        known = rows.keys(connection)
        missing = [number for number in known if not os.path.isdir(self._folders.path(number))]
        return known, missing, self._folders.strange(known)

    def _check_detaches(self) -> None:
        if not self.detaches:
            raise Unsupported(f"storage driver {self.name} unpacks a layer on top of those below it only")


def _lasts(key: str, kind: Kind) -> bool:
    """Whether the files of a snapshot are all that there is of it: those of a layer can be had again from its blob."""
    return kind != "detached" and not key.startswith(rows.EXTRACTION)
