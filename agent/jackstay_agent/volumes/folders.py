"""The folders of volumes on disk: made durably, removed whatever is in them. Blocking: for threads and children.

Guarantees: a volume's folder is there in whole or not at all, and on disk when `make` returns; removal follows no link
and never leaves the folder, however deep the tree in it is and whatever its names are.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from typing import Any

from jackstay_agent import faults
from jackstay_agent.errors import Error, from_os_error

DATA = "_data"
"""The part of a volume's folder that is mounted, as in docker's layout."""

_HIDDEN = "."  # no volume's name begins so


def make(root: str, name: str) -> str:
    """The folder to mount of *name* below *root*, made when it is missing. Raises `DiskFull`, `Error`."""
    folder = os.path.join(root, name)
    data = os.path.join(folder, DATA)
    if os.path.isdir(data):
        return data
    new = os.path.join(root, f"{_HIDDEN}new-{secrets.token_hex(8)}")
    try:
        os.makedirs(root, mode=0o701, exist_ok=True)
        os.mkdir(new, 0o701)
        os.mkdir(os.path.join(new, DATA), 0o755)
        os.chmod(new, 0o701)  # whatever the umask is, as docker does
        os.chmod(os.path.join(new, DATA), 0o755)  # noqa: S103 - a container's user must be able to enter
        _sync(new)
        os.rename(new, folder)
        faults.point("volumes.make.renamed")
        _sync(root)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.rmdir(os.path.join(new, DATA))
        with contextlib.suppress(OSError):
            os.rmdir(new)
        raise from_os_error(error, f"making the volume {name}") from error
    return data


def put_aside(root: str, name: str) -> str | None:
    """Give *name*'s folder a hidden name, free for a volume made anew; that name, or None when there is no folder."""
    hidden = f"{_HIDDEN}removed-{secrets.token_hex(8)}"
    try:
        os.rename(os.path.join(root, name), os.path.join(root, hidden))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise from_os_error(error, f"removing the volume {name}") from error
    faults.point("volumes.remove.renamed")
    return hidden


def entries(root: str) -> list[str]:
    """What is in *root*."""
    try:
        return sorted(os.listdir(root))
    except FileNotFoundError:
        return []


def remove_job(argument: Any, _descriptors: list[int]) -> int:
    """Job: `remove` of *argument* ``[root, entry]``. Gigabytes of small files keep no thread of the agent busy so."""
    root, entry = argument
    return remove(root, entry)


def remove(root: str, entry: str) -> int:
    """Remove *entry* of *root* with everything in it; the bytes that it took on disk.

    Folders found below are first moved up to *entry* itself, so that neither the stack nor the descriptors in use grow
    with the depth of a tree. Raises `Error` when the kernel refuses, as for a file that is immutable or mounted on.
    """
    freed = 0
    parent = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        status = os.stat(entry, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(entry, dir_fd=parent)
            return _bytes(status)
        top = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            while names := os.listdir(top):
                for name in names:
                    freed += _empty(top, name)
        finally:
            os.close(top)
        os.rmdir(entry, dir_fd=parent)
        return freed + _bytes(status)
    except FileNotFoundError:
        return freed
    except OSError as error:
        hint = "is something mounted in it?" if error.errno == errno.EBUSY else "look at it on the host"
        raise Error(f"{os.path.join(root, entry)} cannot be removed: {error.strerror}", hint=hint) from error
    finally:
        os.close(parent)


def _empty(top: int, name: str) -> int:
    """Remove *name* of *top*; the folders in it become entries of *top*. The bytes freed."""
    status = os.stat(name, dir_fd=top, follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(name, dir_fd=top)
        return _bytes(status)
    freed = _bytes(status)
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
    try:
        for inner in os.listdir(folder):
            status = os.stat(inner, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                os.rename(inner, f".moved-{secrets.token_hex(16)}", src_dir_fd=folder, dst_dir_fd=top)
                faults.point("volumes.remove.moved")
            else:
                os.unlink(inner, dir_fd=folder)
                freed += _bytes(status)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)
    return freed


def _bytes(status: os.stat_result) -> int:
    """What goes with the last name of a file."""
    return status.st_blocks * 512 if stat.S_ISDIR(status.st_mode) or status.st_nlink == 1 else 0


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
        faults.point("volumes.make.synced")
    finally:
        os.close(descriptor)
