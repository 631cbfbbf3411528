"""Snapshots on any filesystem: each is a folder with a copy of its parent's whole tree.

Where the filesystem can (XFS, btrfs), the copy shares its contents with the parent until one of them changes; elsewhere
each layer takes the room of the whole image. For hosts on which nothing else works, and to compare with.
"""

from __future__ import annotations

import os

from jackstay_agent.kernel.threads import acquire
from jackstay_agent.layers.whole_trees import WholeTreeSnapshotter

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class VfsSnapshotter(WholeTreeSnapshotter):
    """The driver ``vfs``."""

    name = "vfs"

    async def _copy(self, folder: str, parent: int | None, *, durable: bool) -> None:
        tree = await acquire(_make, os.close, f"{folder}/fs")
        try:
            if parent is not None:
                source = await acquire(os.open, os.close, self._folders.path(parent), _FOLDER)
                try:
                    await self._jobs.run("jackstay_agent.layers.copying:copy_tree", durable, [source, tree])
                finally:
                    os.close(source)
        finally:
            os.close(tree)

    async def _settle(self, number: int) -> None:
        """Nothing: a folder has no such state."""

    async def _unsettle(self, number: int) -> None:
        """Nothing: see `_settle`."""


def _make(path: str) -> int:
    os.mkdir(path, 0o755)
    folder = os.open(path, _FOLDER)
    os.fchmod(folder, 0o755)  # whatever the umask is
    return folder
