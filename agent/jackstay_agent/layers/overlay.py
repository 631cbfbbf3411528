"""Snapshots on overlayfs: a folder holds what one snapshot adds to its parent, and the kernel shows the stack.

Beside ``snapshots/<id>/fs`` lies ``work``, which belongs to the kernel while the snapshot is mounted; ``empty`` is the
lowest part of every stack. Every stack is mounted as an overlay, also one without a parent, for which a bind mount
would do: so each is one mount of its own, and whiteouts in a lowest layer are hidden in it as in any other.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from jackstay_agent.config import Limits
from jackstay_agent.kernel.id_maps import IdRange
from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.threads import finish
from jackstay_agent.layers import xattrs
from jackstay_agent.layers.folder_snapshotter import FolderSnapshotter
from jackstay_agent.layers.snapshotter import Kind, Snapshot
from jackstay_agent.metadata.database import Database

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_EMPTY = "../empty"


class OverlaySnapshotter(FolderSnapshotter):
    """The driver ``overlay``."""

    name = "overlay"
    detaches = True

    def __init__(self, root: str, database: Database, jobs: Jobs, mounts: Mounts, limits: Limits) -> None:
        super().__init__(root, database, jobs, mounts, limits)
        self._empty = os.path.join(root, "empty")

    async def _fill(self, folder: str, kind: Kind, parent: int | None, *, durable: bool) -> None:
        await finish(self._make_top, f"{folder}/fs", kind, parent)

    async def _settle(self, number: int) -> None:
        await finish(_drop_work, f"{self._folders.snapshots}/{number}/work")

    async def _unsettle(self, number: int) -> None:
        """Nothing: `_mount` makes what it needs."""

    async def _mount(self, snapshot: Snapshot, below: list[int], target: str, ids: IdRange | None) -> None:
        upper = work = ""
        if snapshot.kind == "active":
            upper, work = f"{snapshot.id}/fs", f"{snapshot.id}/work"
            await finish(_make_folder, f"{self._folders.snapshots}/{work}")
        await self._mounts.overlay(self._folders.snapshots, target, _stack(below), upper, work, ids=ids)

    def _below(self, below: list[int]) -> dict[str, Any]:
        return {
            "folder": self._folders.snapshots,
            "target": self._folders.view,
            "lower": _stack(below) if below else [],
            "whole": False,
        }

    async def _count(self, snapshot: Snapshot, below: list[int], folder: int) -> tuple[int, int]:
        taken, inodes = await self._jobs.run("jackstay_agent.layers.usage:count", None, [folder])
        return taken, inodes

    def _attached(self, number: int, parent: int | None) -> None:
        top = os.open(self._folders.path(number), _FOLDER)
        try:
            if xattrs.take_bare(top):
                self._dress_top(top, parent)
        finally:
            os.close(top)

    def _make_top(self, path: str, kind: Kind, parent: int | None) -> None:
        """Make the folder of a snapshot's own."""
        _make_folder(self._empty)
        os.mkdir(path, 0o700)
        top = os.open(path, _FOLDER)
        try:
            self._dress_top(top, parent)
            if kind == "detached":
                os.setxattr(top, xattrs.BARE, b"y")
        finally:
            os.close(top)

    def _dress_top(self, top: int, parent: int | None) -> None:
        """Dress a snapshot's own folder like the parent's, since it is the one that shows."""
        if parent is None:
            os.fchmod(top, 0o755)
            return
        below = os.open(self._folders.path(parent), _FOLDER)
        try:
            status = os.fstat(below)
            os.fchown(top, status.st_uid, status.st_gid)
            xattrs.write(top, xattrs.read(below))
            os.fchmod(top, status.st_mode & 0o7777)
            os.utime(top, ns=(status.st_mtime_ns, status.st_mtime_ns))
        finally:
            os.close(below)


def _stack(below: list[int]) -> list[str]:
    return [*(f"{number}/fs" for number in below), _EMPTY]


def _make_folder(path: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)


def _drop_work(path: str) -> None:
    """A committed snapshot is never mounted as the writable part again."""
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(f"{path}/work")  # the kernel's, of mode 000
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(path)
