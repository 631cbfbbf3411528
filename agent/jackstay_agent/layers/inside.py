"""Looking at what is below an open folder and nowhere else: no link is followed, and absence is no error."""

from __future__ import annotations

import errno
import os

from jackstay_agent.kernel import syscalls

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_INSIDE = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def open_folder(path: bytes, top: int) -> int | None:
    """A descriptor of the folder *path* below *top*, which b"" is itself; None when there is no folder."""
    try:
        return syscalls.openat2(path or b".", _FOLDER, dir_fd=top, resolve=_INSIDE)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise


def status(name: bytes, folder: int) -> os.stat_result | None:
    """What *name* in *folder* is, a link as itself; None when it is not there."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
