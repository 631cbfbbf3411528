"""Snapshots on btrfs: each is a subvolume, and a snapshot, in the filesystem's sense, of its parent's.

``snapshots/<id>/fs`` is the subvolume, in an ordinary folder, so that folders come and go as with every driver. It is
read-only once it is committed. A copy takes one transaction of the filesystem, however large the tree is; a deletion is
one call for each subvolume, those that a container has made in its own among them.
"""

from __future__ import annotations

import os

from jackstay_agent import faults
from jackstay_agent.kernel import btrfs
from jackstay_agent.kernel.threads import finish
from jackstay_agent.layers import copy_mark
from jackstay_agent.layers.whole_trees import WholeTreeSnapshotter

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class BtrfsSnapshotter(WholeTreeSnapshotter):
    """The driver ``btrfs``. The root must lie on a btrfs."""

    name = "btrfs"
    deletes = "jackstay_agent.layers.subvolumes:delete_with_subvolume"

    async def _copy(self, folder: str, parent: int | None, *, durable: bool) -> None:
        await finish(_make, folder, None if parent is None else self._folders.path(parent))

    async def _settle(self, number: int) -> None:
        await finish(_set_read_only, self._folders.path(number), True)

    async def _unsettle(self, number: int) -> None:
        await finish(_set_read_only, self._folders.path(number), False)


def _make(folder: str, parent: str | None) -> None:
    above = os.open(folder, _FOLDER)
    try:
        if parent is None:
            btrfs.create(above, b"fs")
            os.chmod("fs", 0o755, dir_fd=above)  # noqa: S103 - what a container's root is like
        else:
            source = os.open(parent, _FOLDER)
            try:
                btrfs.snapshot(source, above, b"fs")
                copy_mark.write(above, [])  # every file has the number that it has below
            finally:
                os.close(source)
        faults.point("layers.btrfs.made")
    finally:
        os.close(above)


def _set_read_only(path: str, read_only: bool) -> None:
    tree = os.open(path, _FOLDER)
    try:
        btrfs.set_read_only(tree, read_only)
        faults.point("layers.btrfs.sealed")
    finally:
        os.close(tree)
