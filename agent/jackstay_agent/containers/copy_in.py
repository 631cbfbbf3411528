"""What cp writes in a container: the job that unpacks a tar below one of its folders.

Guarantees: names lead around inside the container only, whatever links it has or makes meanwhile; nothing is written
where the container's file system or a mount of it is read-only.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from jackstay_agent.containers import container_paths
from jackstay_agent.containers.container_root import enter
from jackstay_agent.errors import InvalidArchive, WrongState
from jackstay_agent.kernel import syscalls
from jackstay_agent.layers import xattrs
from jackstay_oci.limits import DEFAULT_LIMITS
from jackstay_oci.tar.entries import MAX_ID, Entry
from jackstay_oci.tar.extract import Extractor
from jackstay_oci.tar.reader import TarReader

EXTRACT = "jackstay_agent.containers.copy_in:extract"
_PATH = os.O_PATH | os.O_DIRECTORY
_MANY = 1 << 62
_BOUNDS = replace(DEFAULT_LIMITS, entries=_MANY, total_bytes=_MANY)  # as much as there is room for


def extract(argument: Any, descriptors: list[int]) -> None:
    """The job: unpack the tar that comes from the first descriptor into the folder ``path``.

    A byte is written to the second descriptor when the container's files are the child's own and the folder is there.
    With ``keep_owner`` files belong to whom the tar says, else to root.
    """
    source, ready, *view = descriptors
    root = enter(argument, view)
    os.umask(0)
    path = container_paths.parse(argument["path"])
    target = container_paths.open_path(root, replace(path, folder=True), _PATH, follow=True)
    if os.fstatvfs(target).f_flag & os.ST_RDONLY:
        raise WrongState(
            f"{container_paths.shown(path.clean)} is read-only in the container", hint="copy to a writable volume"
        )
    os.write(ready, b"1")
    os.close(ready)

    def reach(folder: bytes) -> int:
        return syscalls.openat2(folder, _PATH, dir_fd=target, resolve=syscalls.RESOLVE_NO_MAGICLINKS)

    reader = TarReader(source, _BOUNDS, name="the archive")
    owner = _owner if argument["keep_owner"] else _root
    Extractor(reach, owner=owner, dress=_dress).extract(reader)
    reader.drain()


def _root(_entry: Entry) -> tuple[int, int]:
    return 0, 0


def _owner(entry: Entry) -> tuple[int, int]:
    if not (0 <= entry.uid <= MAX_ID and 0 <= entry.gid <= MAX_ID):
        raise InvalidArchive(f"an entry belongs to {entry.uid}:{entry.gid}, ids go from 0 to {MAX_ID}")
    return entry.uid, entry.gid


def _dress(file: int, entry: Entry) -> None:
    if entry.xattrs:
        xattrs.write(file, entry.xattrs)
