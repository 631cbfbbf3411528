"""What a snapshot takes on disk: counted by walking, without following links or leaving its filesystem."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any

from jackstay_agent.kernel import syscalls
from jackstay_agent.layers import copy_mark
from jackstay_agent.layers.lower import mount_lower
from jackstay_agent.layers.untouched import File, Untouched

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_INSIDE = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS


def count(_argument: Any, descriptors: list[int]) -> list[int]:
    """The job: bytes on disk and inodes below the folder that is the first descriptor, itself not counted.

    A file with several links counts once. What vanishes while it is counted does not count.
    """
    device = os.fstat(descriptors[0]).st_dev
    taken, inodes = 0, 0
    linked: set[int] = set()
    waiting = [b"."]
    while waiting:
        path = waiting.pop()
        for name, status in _statuses(path, descriptors[0]):
            if status.st_dev != device:
                continue
            if stat.S_ISDIR(status.st_mode):
                waiting.append(path + b"/" + name)
            elif status.st_nlink > 1:
                if status.st_ino in linked:
                    continue
                linked.add(status.st_ino)
            taken += status.st_blocks * 512
            inodes += 1
    return [taken, inodes]


def count_changes(argument: Any, descriptors: list[int]) -> list[int]:
    """The job: bytes on disk and inodes of what differs below the folder, a whole tree, from the stack below it.

    The argument is that stack, as `lower.mount_lower` takes it. A file that was changed counts whole, also where the
    filesystem shares the rest of it with the layer below; what was removed counts nothing.
    """
    folder = descriptors[0]
    if not argument["lower"]:
        return count(None, descriptors)
    mark = copy_mark.read(folder)
    below = os.open(".", _FOLDER, dir_fd=mount_lower(argument["folder"], argument["target"], argument["lower"]))
    untouched = Untouched(folder, below, mark)
    taken, inodes = 0, 0
    linked: set[File] = set()
    waiting = [b"."]
    while waiting:
        path = waiting.pop()
        try:
            before: int | None = syscalls.openat2(path, _FOLDER, dir_fd=below, resolve=_INSIDE)
        except OSError:  # no such folder below
            before = None
        try:
            folders, more, files = _changes(path, folder, before, untouched, linked)
        finally:
            if before is not None:
                os.close(before)
        waiting += folders
        taken, inodes = taken + more, inodes + files
    return [taken, inodes]


def _changes(
    path: bytes, top: int, before: int | None, untouched: Untouched, linked: set[File]
) -> tuple[list[bytes], int, int]:
    """The folders in the folder *path*, and the bytes and inodes of what differs right in it."""
    folders, taken, inodes = [], 0, 0
    try:
        folder = syscalls.openat2(path, _FOLDER, dir_fd=top, resolve=_INSIDE)
    except OSError:
        return [], 0, 0
    try:
        for name in map(os.fsencode, os.listdir(folder)):
            try:
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(status.st_mode):
                folders.append(path + b"/" + name)
                if before is not None and _is_folder(name, before):
                    continue
            elif before is not None and untouched.is_so(name, status, folder, before):
                continue
            elif status.st_nlink > 1:
                if (status.st_dev, status.st_ino) in linked:
                    continue
                linked.add((status.st_dev, status.st_ino))
            taken += status.st_blocks * 512
            inodes += 1
    finally:
        os.close(folder)
    return folders, taken, inodes


def _is_folder(name: bytes, folder: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _statuses(path: bytes, top: int) -> Iterator[tuple[bytes, os.stat_result]]:
    try:
        # Links in the way cannot lead outside: the folder may belong to a container that runs.
        folder = syscalls.openat2(path, _FOLDER, dir_fd=top, resolve=_INSIDE)
    except OSError:
        return
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    yield os.fsencode(entry.name), entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
    finally:
        os.close(folder)
