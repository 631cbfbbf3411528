"""What the drivers share of which each snapshot is a whole tree: they differ only in how a tree becomes a copy.

Beside ``snapshots/<id>/fs`` lies the mark that tells a later diff how it was copied (`copy_mark`). A mount is a bind
mount of the tree; a view has none of its own and shows its parent's.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import Any

from jackstay_agent.kernel.id_maps import IdRange
from jackstay_agent.kernel.threads import finish
from jackstay_agent.layers.folder_snapshotter import FolderSnapshotter
from jackstay_agent.layers.snapshotter import Kind, Snapshot


class WholeTreeSnapshotter(FolderSnapshotter):
    """Snapshots of whole trees."""

    detaches = False

    @abstractmethod
    async def _copy(self, folder: str, parent: int | None, *, durable: bool) -> None:
        """Make ``fs`` in *folder*: a copy of *parent*'s and its mark, on disk if *durable*; or an empty folder of mode
        0755."""

    async def _fill(self, folder: str, kind: Kind, parent: int | None, *, durable: bool) -> None:
        if kind == "view":
            await finish(os.mkdir, f"{folder}/fs", 0o755)
        else:
            await self._copy(folder, parent, durable=durable)

    async def _mount(self, snapshot: Snapshot, below: list[int], target: str, ids: IdRange | None) -> None:
        is_view = snapshot.kind == "view"
        tree = self._folders.path(below[0] if is_view else snapshot.id)
        await self._mounts.bind(tree, target, read_only=is_view, ids=ids)

    def _below(self, below: list[int]) -> dict[str, Any]:
        return {
            "folder": self._folders.snapshots,
            "target": self._folders.view,
            "lower": [f"{below[0]}/fs"] if below else [],
            "whole": True,
        }

    async def _count(self, snapshot: Snapshot, below: list[int], folder: int) -> tuple[int, int]:
        if snapshot.kind == "view":
            return 0, 0
        taken, inodes = await self._jobs.run("jackstay_agent.layers.usage:count_changes", self._below(below), [folder])
        return taken, inodes
