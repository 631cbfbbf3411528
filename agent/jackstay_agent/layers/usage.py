"""What a folder takes on disk: counted by walking, without following links or leaving its filesystem."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any

from jackstay_agent.kernel import syscalls

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
