"""What is written down beside a tree that began as a copy: when the copy was finished, and what became of hard links.

The file ``made`` lies beside ``fs``. Its change time is the moment, by the filesystem's own clock, before which every
change was part of the copying. It holds the inode numbers of files with several names, below and in the copy, where the
two differ. It need not be on disk: without it a diff compares every content, and takes such files for changed.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from jackstay_oci.tar.window import write_all

_NAME = "made"
_PAIR = struct.Struct("=QQ")


@dataclass(frozen=True, slots=True)
class CopyMark:
    """*since* in nanoseconds; *copied* leads from inode numbers below to those of the copy, where they differ."""

    since: int = 0
    copied: dict[int, int] = field(default_factory=dict)


def write(beside: int, copied: Iterable[tuple[int, int]]) -> None:
    """Write the mark of the tree in the open folder *beside*; the last thing that a copying does."""
    descriptor = os.open(_NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=beside)
    try:
        write_all(descriptor, b"".join(_PAIR.pack(*pair) for pair in copied))
    finally:
        os.close(descriptor)


def read(tree: int) -> CopyMark:
    """The mark of the tree whose ``fs`` is the open folder *tree*; one that says nothing when there is none."""
    try:
        descriptor = os.open(f"../{_NAME}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=tree)
    except FileNotFoundError:
        return CopyMark()
    with os.fdopen(descriptor, "rb") as file:
        return CopyMark(os.fstat(descriptor).st_ctime_ns, dict(_PAIR.iter_unpack(file.read())))
