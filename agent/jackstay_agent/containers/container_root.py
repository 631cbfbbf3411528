"""A child's way into a container's file system, with all that is mounted in it: for the jobs behind `copies`.

Guarantees: afterwards the child's root is the container's, in a mount namespace of its own that ends with it, and
nothing of the host can be named, whatever links the container has or makes meanwhile (CVE-2018-15664, CVE-2026-41568);
each mount is laid at a folder that was found by the kernel below the root and is held open, never at a path looked up
twice (CVE-2026-42306). Nothing of the container is run or loaded, no device of it opens.
"""

from __future__ import annotations

import os
from typing import Any

from jackstay_agent import faults
from jackstay_agent.containers import working_folder
from jackstay_agent.kernel import syscalls

_INSIDE = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
_BOUNDS = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOEXEC


def enter(argument: Any, descriptors: list[int]) -> int:
    """Make the container's root this process's root; a descriptor of it.

    Of a running container (``argument["live"]``) the descriptors are its first process's mount namespace, its root and,
    where it has one of its own, its user namespace: the child becomes root of that. Of another one there is its root
    alone; ``mounts`` (source on the host, target, read-only, recursive, folder) are laid on it, and with ``read_only``
    it is.
    """
    if argument["live"]:
        namespace, root, *users = descriptors
        syscalls.enter_mounts(namespace, root)
        for user_namespace in users:
            syscalls.setns(user_namespace, syscalls.CLONE_NEWUSER)
            os.setgroups([])
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
    else:
        (root,) = descriptors
        inner = syscalls.without_devices(root)
        for source, target, read_only, recursive, folder in argument["mounts"]:
            _lay(inner, source, os.fsencode(target), read_only=read_only, recursive=recursive, folder=folder)
        if argument["read_only"]:
            syscalls.change_mount(inner, _BOUNDS | syscalls.MOUNT_ATTR_RDONLY, 0)
        syscalls.pivot(inner)
    for descriptor in descriptors:
        os.close(descriptor)  # they belong to the mounts that were left
    return os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _lay(inner: int, source: str, target: bytes, *, read_only: bool, recursive: bool, folder: bool) -> None:
    """Mount *source* at *target* below the root *inner*; the place is made where there is none, as a start does."""
    place = _place(inner, target, folder)
    try:
        flags = syscalls.MS_BIND | (syscalls.MS_REC if recursive else 0)
        syscalls.mount(source, f"/proc/self/fd/{place}", None, flags)
        faults.point("containers.container_root.mounted")
    finally:
        os.close(place)
    laid = _open(inner, target)
    try:
        attributes = _BOUNDS | (syscalls.MOUNT_ATTR_RDONLY if read_only else 0)
        syscalls.change_mount(laid, attributes, syscalls.MS_PRIVATE, recursive=recursive)
    finally:
        os.close(laid)


def _place(inner: int, target: bytes, folder: bool) -> int:
    try:
        return _open(inner, target)
    except FileNotFoundError:
        path = os.fsdecode(target)
        working_folder.make(inner, path if folder else os.path.dirname(path))
        if not folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            os.close(syscalls.openat2(target, flags, dir_fd=inner, mode=0o644, resolve=_INSIDE))
        return _open(inner, target)


def _open(inner: int, target: bytes) -> int:
    return syscalls.openat2(target, os.O_PATH, dir_fd=inner, resolve=_INSIDE)
