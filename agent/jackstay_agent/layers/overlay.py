"""Snapshots on overlayfs: implements `snapshotter.Snapshotter`.

On disk, below the root: ``snapshots/<id>/fs`` is what one snapshot adds to its parent, ``snapshots/<id>/work`` belongs
to the kernel while it is mounted, ``empty`` is the lowest part of every stack and ``view`` a place for private mounts.
A folder is made as ``new-…`` and gets its id inside the transaction that makes its row; it becomes ``removing-…`` after
the one that ends the row. So the rows are the truth: whatever has none is rubbish, and `sweep` takes it away.

Every stack is mounted as an overlay, also one without a parent, for which a bind mount would do: so each is one mount
of its own, and whiteouts in a lowest layer are hidden in it as in any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sqlite3
from typing import Any
from weakref import WeakValueDictionary

import structlog

from jackstay_agent import faults
from jackstay_agent.config import Limits
from jackstay_agent.errors import Error, LimitExceeded, NotFound, Unsupported, WrongState, from_os_error
from jackstay_agent.kernel import syscalls
from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.threads import acquire, finish
from jackstay_agent.layers import apply as applying
from jackstay_agent.layers import xattrs
from jackstay_agent.layers.snapshotter import Along, Applied, Audit, Diffed, Kind, Snapshot
from jackstay_agent.metadata import snapshots as rows
from jackstay_agent.metadata.database import Database
from jackstay_oci.digest import Digest

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DETACHED = "detached-"
_EMPTY = "../empty"

log = structlog.get_logger()


class OverlaySnapshotter:
    """Keeps snapshots below the folder *root*, which is made when it is missing."""

    name = "overlay"
    detaches = True

    def __init__(self, root: str, database: Database, jobs: Jobs, mounts: Mounts, limits: Limits) -> None:
        self._root = root
        self._snapshots = os.path.join(root, "snapshots")
        self._view = os.path.join(root, "view")
        self._database = database
        self._jobs = jobs
        self._mounts = mounts
        self._limits = limits
        self._new: set[str] = set()  # folders that wait for their row
        self._mounting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._deleting: set[asyncio.Task[None]] = set()

    async def prepare(self, key: str, parent: str | None, *, along: Along | None = None) -> Snapshot:
        """See `Snapshotter.prepare`."""
        return await self._make(key, "active", parent, along)

    async def view(self, key: str, parent: str, *, along: Along | None = None) -> Snapshot:
        """See `Snapshotter.view`."""
        return await self._make(key, "view", parent, along)

    async def prepare_detached(self, diff_id: Digest, *, along: Along | None = None) -> Snapshot:
        """See `Snapshotter.prepare_detached`."""
        return await self._make(_DETACHED + diff_id, "detached", None, along)

    async def attach(self, diff_id: Digest, key: str, parent: str | None, *, along: Along | None = None) -> Snapshot:
        """See `Snapshotter.attach`."""

        def work(connection: sqlite3.Connection) -> Snapshot:
            attached = Snapshot(**rows.attach(connection, _DETACHED + diff_id, key, parent))
            if along is not None:
                along(connection)
            return attached

        return await self._database.write("layers.attach", work)

    async def apply(self, key: str, blob: int, compression: str, *, growth: int | None = None) -> Applied:
        """See `Snapshotter.apply`."""
        snapshot, lower = await self._database.read(lambda c: (Snapshot(**rows.get(c, key)), rows.ancestors(c, key)))
        if snapshot.kind not in ("active", "detached"):
            raise WrongState(f"snapshot {key} is {snapshot.kind}, nothing can be unpacked into it")
        target = await acquire(self._open, os.close, snapshot, key)
        try:
            diff_id, size, inodes, incomplete = await self._jobs.run(
                "jackstay_agent.layers.apply:apply_layer",
                {"compression": compression, "limits": applying.bounds_of(self._limits), **self._below(lower)},
                [target, blob] if growth is None else [target, blob, growth],
            )
            await finish(_sync, target, key)
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
        await finish(self._drop_work, own.id)

        def work(connection: sqlite3.Connection) -> Snapshot:
            committed = rows.commit(connection, key, name, applied.diff_id, applied.size, applied.inodes)
            if along is not None:
                along(connection)
            return Snapshot(**committed)

        committed = await self._database.write("layers.commit", work)
        if committed.id != own.id:
            await self._delete(str(own.id))
        return committed

    async def mount(self, key: str, target: str) -> None:
        """See `Snapshotter.mount`."""
        async with self._mounting.setdefault(target, asyncio.Lock()):
            snapshot, lower = await self._database.read(
                lambda c: (Snapshot(**rows.get(c, key)), rows.ancestors(c, key))
            )
            if snapshot.kind not in ("active", "view"):
                raise WrongState(f"snapshot {key} is {snapshot.kind}, only an active one or a view can be mounted")
            if target in await self._mounts.mounted(target):
                return
            upper = work = ""
            if snapshot.kind == "active":
                upper, work = f"{snapshot.id}/fs", f"{snapshot.id}/work"
                await finish(self._make_work, snapshot.id)
            await self._mounts.overlay(self._snapshots, target, self._stack(lower), upper, work)

    async def unmount(self, target: str) -> None:
        """See `Snapshotter.unmount`."""
        async with self._mounting.setdefault(target, asyncio.Lock()):
            await self._mounts.unmount(target)

    async def diff(self, key: str, out: int) -> Diffed:
        """See `Snapshotter.diff`."""
        snapshot, lower = await self._database.read(lambda c: (Snapshot(**rows.get(c, key)), rows.ancestors(c, key)))
        if snapshot.kind != "active":
            raise WrongState(f"snapshot {key} is {snapshot.kind}, only an active one has changes")
        upper = await acquire(self._open, os.close, snapshot, key)
        try:
            digest, size, empty = await self._jobs.run(
                "jackstay_agent.layers.diff:diff_layer", self._below(lower), [upper, out]
            )
        finally:
            os.close(upper)
        return Diffed(Digest.parse(digest), size, empty)

    async def usage(self, key: str) -> tuple[int, int]:
        """See `Snapshotter.usage`."""
        snapshot = await self.stat(key)
        if snapshot.kind == "committed":
            return snapshot.size, snapshot.inodes
        folder = await acquire(self._open, os.close, snapshot, key)
        try:
            taken, inodes = await self._jobs.run("jackstay_agent.layers.usage:count", None, [folder])
        finally:
            os.close(folder)
        return taken, inodes

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
            await self._delete(str(removed))

    async def clean(self) -> int:
        """See `Snapshotter.clean`."""
        await self._database.write("layers.clean", rows.remove_extractions)
        return await self.sweep()

    async def sweep(self) -> int:
        """Delete every folder that has no row; how many. May run at any time."""
        # In a transaction, so that no folder is looked at between its rename and its row.
        rubbish = await self._database.write("layers.sweep", self._without_row)
        for name in rubbish:
            await self._delete(name)
        return len(rubbish)

    async def audit(self) -> Audit:
        """See `Snapshotter.audit`."""
        known, missing, strange = await self._database.write("layers.audit", self._disagreements)
        if self._deleting:
            await asyncio.wait(tuple(self._deleting))
        if strange:
            left = (await self._database.write("layers.audit", self._disagreements))[2]
            strange = [name for name in strange if name in left]
        return Audit(tuple(known[number] for number in missing), tuple(strange))

    async def compare(self, key: str, fresh: str) -> list[str]:
        """See `Snapshotter.compare`."""
        one = await acquire(self._open, os.close, await self.stat(key), key)
        try:
            other = await acquire(self._open, os.close, await self.stat(fresh), fresh)
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
        await finish(self._drop_work, (await self.stat(fresh)).id)

        def work(connection: sqlite3.Connection) -> tuple[int, Snapshot]:
            old, new = rows.replace(connection, key, fresh, applied.diff_id, applied.size, applied.inodes)
            if along is not None:
                along(connection)
            return old, Snapshot(**new)

        old, new = await self._database.write("layers.replace", work)
        await self._delete(str(old))
        return new

    async def _make(self, key: str, kind: Kind, parent: str | None, along: Along | None) -> Snapshot:
        name = f"new-{secrets.token_hex(8)}"
        self._new.add(name)

        def work(connection: sqlite3.Connection) -> Snapshot:
            number = rows.add(connection, key, kind, parent)
            if len(below := rows.ancestors(connection, key)) > self._limits.layers:
                raise LimitExceeded(f"snapshot {key} rests on {len(below)} layers, the bound is {self._limits.layers}")
            self._make_root()
            self._make_folder(name, below[0] if below else None)
            self._rename(name, str(number))
            if along is not None:
                along(connection)
            return Snapshot(**rows.get(connection, key))

        try:
            return await self._database.write("layers.prepare", work)
        except BaseException as error:
            await self._delete(name)
            if isinstance(error, OSError):
                raise from_os_error(error, f"making snapshot {key}") from error
            raise
        finally:
            self._new.discard(name)

    def _make_root(self) -> None:
        for name in ("snapshots", "view", "empty"):
            os.makedirs(os.path.join(self._root, name), mode=0o700, exist_ok=True)

    def _make_folder(self, name: str, parent: int | None) -> None:
        """Make the folder of a snapshot; its top is dressed like the parent's, since it is the one that shows."""
        folder = os.path.join(self._snapshots, name)
        os.mkdir(folder, 0o700)
        os.mkdir(f"{folder}/fs", 0o700)
        top = os.open(f"{folder}/fs", _FOLDER)
        try:
            if parent is None:
                os.fchmod(top, 0o755)
                return
            below = os.open(f"{self._snapshots}/{parent}/fs", _FOLDER)
            try:
                status = os.fstat(below)
                os.fchown(top, status.st_uid, status.st_gid)
                xattrs.write(top, xattrs.read(below))
                os.fchmod(top, status.st_mode & 0o7777)
                os.utime(top, ns=(status.st_mtime_ns, status.st_mtime_ns))
            finally:
                os.close(below)
        finally:
            os.close(top)

    def _rename(self, name: str, final: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            # The id of a transaction that was rolled back is given out again, and its folder may be there still.
            os.rename(f"{self._snapshots}/{final}", f"{self._snapshots}/removing-{secrets.token_hex(8)}")
        os.rename(f"{self._snapshots}/{name}", f"{self._snapshots}/{final}")
        faults.point("layers.prepare.renamed")
        snapshots = os.open(self._snapshots, _FOLDER)
        try:
            # The rename cannot be on disk without the folder that it moved, so one fsync covers both.
            os.fsync(snapshots)
            faults.point("layers.prepare.synced")
        finally:
            os.close(snapshots)

    def _without_row(self, connection: sqlite3.Connection) -> list[str]:
        self._make_root()
        known = {str(number) for number in rows.ids(connection)}
        with os.scandir(self._snapshots) as entries:
            return [entry.name for entry in entries if entry.name not in known and entry.name not in self._new]

    def _disagreements(self, connection: sqlite3.Connection) -> tuple[dict[int, str], list[int], list[str]]:
        """Keys by id, ids without a folder, folders without an id."""
        known = rows.keys(connection)
        strange = self._without_row(connection)
        missing = [number for number in known if not os.path.isdir(f"{self._snapshots}/{number}/fs")]
        return known, missing, strange

    async def _delete(self, name: str) -> None:
        """Delete the folder *name*, which has no row any more; a failure is told to the log and left to a sweep."""
        task = asyncio.ensure_future(self._delete_now(name))
        self._deleting.add(task)
        task.add_done_callback(self._deleting.discard)
        await asyncio.shield(task)

    async def _delete_now(self, name: str) -> None:
        try:
            aside, snapshots = await finish(self._set_aside, name)
            try:
                await self._jobs.run("jackstay_agent.layers.deleting:delete_tree", aside, [snapshots])
            finally:
                os.close(snapshots)
        except (Error, OSError) as error:
            log.warning("a removed layer is still on disk", folder=name, error=str(error))

    def _set_aside(self, name: str) -> tuple[str, int]:
        """Rename the folder, so that it is no snapshot's any more; its new name, and a descriptor of where it lies."""
        if not name.startswith("removing-"):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{self._snapshots}/{name}", f"{self._snapshots}/removing-{name}")
            faults.point("layers.remove.renamed")
            name = f"removing-{name}"
        return name, os.open(self._snapshots, _FOLDER)

    def _open(self, snapshot: Snapshot, key: str) -> int:
        try:
            return os.open(f"{self._snapshots}/{snapshot.id}/fs", _FOLDER)
        except FileNotFoundError as error:
            raise NotFound(
                f"the files of snapshot {key} are missing from {self._snapshots}/{snapshot.id}",
                hint="run system check on this host",
            ) from error

    def _make_work(self, number: int) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(f"{self._snapshots}/{number}/work", 0o700)

    def _drop_work(self, number: int) -> None:
        """A committed snapshot is never mounted as the writable part again."""
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(f"{self._snapshots}/{number}/work/work")  # the kernel's, of mode 000
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(f"{self._snapshots}/{number}/work")

    def _stack(self, lower: list[int]) -> list[str]:
        return [*(f"{number}/fs" for number in lower), _EMPTY]

    def _below(self, lower: list[int]) -> dict[str, Any]:
        """The stack below a snapshot as `lower.mount_lower` takes it; an empty one for none."""
        return {"folder": self._snapshots, "target": self._view, "lower": self._stack(lower) if lower else []}


def _sync(folder: int, key: str) -> None:
    try:
        syscalls.syncfs(folder)
        faults.point("layers.apply.synced")
    except OSError as error:
        raise from_os_error(error, f"writing snapshot {key} to disk") from error
