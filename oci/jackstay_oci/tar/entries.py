"""One entry of a tar, as a value."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

MAX_ID = (1 << 31) - 1
"""Largest user or group id; larger ones turn negative somewhere (CVE-2024-40635)."""


class Kind(Enum):
    """What an entry is."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    CHARACTER = "character device"
    BLOCK = "block device"
    FIFO = "fifo"


class Entry(Struct, frozen=True, kw_only=True):
    """A header. Names are bytes as they came: nothing is resolved, cleaned or checked for ``..``.

    Attributes:
        size: bytes of content, holes counted; 0 for everything but a file.
        mode: the twelve permission bits.
        mtime_ns: nanoseconds since the epoch, may be negative.
        linkname: the target of a symlink, or the earlier entry that a hard link names.
        xattrs: from ``SCHILY.xattr.*``, with full names (``user.x``).
        offset: where the content begins in the tar, in bytes.
        contiguous: whether the content lies at ``offset`` as it is; false for sparse files.
    """

    name: bytes
    kind: Kind = Kind.FILE
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime_ns: int = 0
    linkname: bytes = b""
    devmajor: int = 0
    devminor: int = 0
    xattrs: dict[bytes, bytes] = {}
    offset: int = 0
    contiguous: bool = True
