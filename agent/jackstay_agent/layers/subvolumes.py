"""Deleting the folder of a snapshot that is a btrfs subvolume.

Guarantees: the subvolume goes with those that a container has made in it, by their numbers, so that no name in it is
resolved; whatever else lies in the folder goes as any folder does. May be done again after a cut.
"""

from __future__ import annotations

import os
from typing import Any

from jackstay_agent import faults
from jackstay_agent.kernel import btrfs, syscalls
from jackstay_agent.layers.deleting import delete

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_INSIDE = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_XDEV


def delete_with_subvolume(argument: Any, descriptors: list[int]) -> None:
    """The job: delete the folder named *argument* in the folder that is the first descriptor, with its subvolume."""
    name, snapshots = os.fsencode(argument), descriptors[0]
    try:
        tree = syscalls.openat2(name + b"/fs", _FOLDER, dir_fd=snapshots, resolve=_INSIDE)
    except (FileNotFoundError, NotADirectoryError):
        pass
    else:
        try:
            number = btrfs.number_of(tree) if btrfs.is_subvolume(tree) else None
        finally:
            os.close(tree)
        if number is not None:
            btrfs.destroy(snapshots, number)
            faults.point("layers.btrfs.destroyed")
    delete(name, snapshots)
