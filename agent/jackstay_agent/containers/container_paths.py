"""Paths in a container as cp means them, for a child whose root is the container's (`container_root`).

Guarantees: the kernel resolves them below the root (openat2, RESOLVE_IN_ROOT) and follows no magic link of ``/proc``,
which would lead out of it where the container shares the host's processes. `landing` alone walks itself: what it gives
is text to be resolved again.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections import deque
from dataclasses import dataclass
from typing import Any

from jackstay_agent.errors import Error, InvalidArgument, NotFound
from jackstay_agent.kernel import syscalls

_INSIDE = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
_LINKS = 40  # as the kernel bounds them
_TRIES = 1000  # the kernel says EAGAIN when something was renamed while it resolved ".."


@dataclass(frozen=True, slots=True)
class ContainerPath:
    """A path, taken apart. `clean` is absolute, without ``.`` and ``..``; `name` is b"" for the root.

    `contents`: it ends with ``/.``, or is the root: what is in the folder is meant. `folder`: it must be a folder.
    """

    clean: bytes
    name: bytes
    contents: bool
    folder: bool


def parse(path: bytes) -> ContainerPath:
    """Take *path* apart; a relative one begins at the root. Raises `InvalidArgument` for a NUL."""
    if b"\0" in path:
        raise InvalidArgument("a path has no NUL")
    clean = b"/" + posixpath.normpath(b"/" + path).lstrip(b"/")
    contents = clean == b"/" or path.endswith(b"/.") or path == b"."
    return ContainerPath(clean, clean.rpartition(b"/")[2], contents, contents or path.endswith(b"/"))


def open_path(root: int, path: ContainerPath, flags: int, *, follow: bool) -> int:
    """A descriptor of *path* below the folder *root*; *follow*: also a link at its end.

    Raises `NotFound`, `InvalidArgument`, `Error`.
    """
    flags |= (0 if follow or path.folder else os.O_NOFOLLOW) | (os.O_DIRECTORY if path.folder else 0)
    for _ in range(_TRIES):
        try:
            return syscalls.openat2(path.clean.lstrip(b"/") or b".", flags, dir_fd=root, resolve=_INSIDE)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise _meaning(error, path) from error
    raise Error(f"{shown(path.clean)} is moved about all the time", hint="pause the container")


def stat_path(root: int, path: ContainerPath, *, follow: bool) -> dict[str, Any]:
    """What *path* is, as the protocol's ``PathStat`` has it. Raises as `open_path`."""
    found = open_path(root, path, os.O_PATH, follow=follow)
    try:
        status = os.fstat(found)
    finally:
        os.close(found)
    is_link = stat.S_ISLNK(status.st_mode)
    return {
        "name": path.name or b"/",
        "size": status.st_size,
        "mode": status.st_mode,
        "modified_ns": status.st_mtime_ns,
        "link_target": landing(root, path.clean) if is_link else b"",
    }


def landing(root: int, path: bytes) -> bytes:
    """Where the absolute *path* leads below *root* when every link is followed; its end need not exist."""
    left = deque(path.split(b"/"))
    way: list[bytes] = []
    links = 0
    while left:
        part = left.popleft()
        if part in (b"", b"."):
            continue
        if part == b"..":
            del way[-1:]
            continue
        target = _link(root, b"/".join([*way, part]))
        if target is None:
            way.append(part)
            continue
        links += 1
        if links > _LINKS:
            raise InvalidArgument(f"{shown(path)}: too many levels of symbolic links")
        if target.startswith(b"/"):
            way.clear()
        left.extendleft(reversed(target.split(b"/")))
    return b"/" + b"/".join(way)


def _link(root: int, path: bytes) -> bytes | None:
    try:
        found = syscalls.openat2(path, os.O_PATH | os.O_NOFOLLOW, dir_fd=root, resolve=_INSIDE)
    except OSError:
        return None  # what leads nowhere is no link
    try:
        return os.readlink(b"", dir_fd=found) if stat.S_ISLNK(os.fstat(found).st_mode) else None
    finally:
        os.close(found)


def _meaning(error: OSError, path: ContainerPath) -> Error:
    what = shown(path.clean)
    if error.errno == errno.ENOENT:
        return NotFound(f"Could not find the file {what} in the container", hint="check the path")
    if error.errno == errno.ENOTDIR:
        return InvalidArgument(f"{what}: not a directory")
    return InvalidArgument(f"{what} cannot be opened: {error.strerror}")


def shown(path: bytes) -> str:
    """*path* for messages."""
    return repr(path[:300].decode(errors="backslashreplace"))[1:-1]
