"""Deleting a folder with all that is in it, by descriptors: no name is resolved twice, no link or mount is followed.

Guarantees that nothing outside the folder goes, whatever its names and links say, and that neither depth nor width
costs memory or descriptors: one folder is open at a time, and the way up is checked to be the way that led down.
"""

from __future__ import annotations

import errno
import os
from typing import Any

from jackstay_agent.kernel import syscalls

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_INSIDE = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_XDEV


def delete(name: bytes, parent: int) -> None:
    """Delete *name* in the folder *parent*, whatever it is. No error when it does not exist."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.EISDIR, errno.EPERM):  # EPERM is POSIX's way of saying EISDIR
            raise
        _empty(name, parent)
        os.rmdir(name, dir_fd=parent)


def delete_tree(argument: Any, descriptors: list[int]) -> None:
    """The job: delete the folder named *argument* in the folder that is the first descriptor."""
    delete(os.fsencode(argument), descriptors[0])


def _empty(name: bytes, parent: int) -> None:
    current = syscalls.openat2(name, _FOLDER, dir_fd=parent, resolve=_INSIDE)
    way: list[tuple[bytes, os.stat_result]] = []
    try:
        while True:
            into = _thin(current)
            if into is not None:
                way.append((into, os.fstat(current)))
                inner = syscalls.openat2(into, _FOLDER, dir_fd=current, resolve=_INSIDE)
                os.close(current)
                current = inner
                continue
            if not way:
                return
            done, above = way.pop()
            outer = os.open("..", _FOLDER | os.O_CLOEXEC, dir_fd=current)
            os.close(current)
            current = outer
            if not os.path.samestat(above, os.fstat(current)):
                raise OSError(errno.ESTALE, "the folder was moved while it was deleted", os.fsdecode(done))
            os.rmdir(done, dir_fd=current)
    finally:
        os.close(current)


def _thin(folder: int) -> bytes | None:
    """Delete what can go at once; the first folder that is not empty, or None when nothing is left."""
    found = True
    while found:  # a listing may miss entries while others are deleted
        found = False
        with os.scandir(folder) as entries:
            for entry in entries:
                found = True
                name = os.fsencode(entry.name)
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(name, dir_fd=folder)
                    continue
                try:
                    os.rmdir(name, dir_fd=folder)
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
                    return name
    return None
