"""What bytes are read from: anything with ``read(n)``, a range of a file, whatever has blobs."""

from __future__ import annotations

import os
from typing import Protocol, runtime_checkable

from jackstay_oci.digest import Digest
from jackstay_oci.errors import InvalidArchive


@runtime_checkable
class BinaryReader(Protocol):
    """A source of bytes, read from front to back."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes, ``size`` being above 0; empty only at the end. Fewer are no sign of the end."""
        ...


class BlobReader(BinaryReader, Protocol):
    """A blob being read, which whoever opened it closes."""

    def close(self) -> None:
        """End the reading."""


class Content(Protocol):
    """Where blobs can be had from: a blob store, an archive."""

    def has(self, digest: Digest) -> bool:
        """Whether the blob is there, whole."""
        ...

    def size(self, digest: Digest) -> int:
        """Bytes of the blob; ``NotFound`` when it is not there."""
        ...

    def open_blob(self, digest: Digest) -> BlobReader:
        """The blob from its beginning; ``NotFound`` when it is not there."""
        ...


class Region:
    """The bytes ``[offset, offset + length)`` of a regular file. Never moves the descriptor's own offset.

    Args:
        fd: the file.
        offset: where the region begins, in bytes.
        length: its bytes.
        owned: whether ``close`` closes the descriptor; else it is somebody else's.
    """

    __slots__ = ("fd", "length", "offset", "owned", "position")

    def __init__(self, fd: int, offset: int, length: int, *, owned: bool = False) -> None:
        self.fd = fd
        self.offset = offset
        self.length = length
        self.owned = owned
        self.position = 0

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes from the position on; all that is left when negative.

        Raises:
            InvalidArchive: the file is shorter than the region.
        """
        left = self.length - self.position
        wanted = left if size < 0 else min(size, left)
        data = self.pread(self.position, wanted)
        self.position += len(data)
        return data

    def pread(self, position: int, size: int) -> bytes:
        """At most ``size`` bytes from ``position`` of the region, without moving.

        Raises:
            InvalidArchive: the file is shorter than the region.
        """
        size = min(size, self.length - position)
        if size <= 0:
            return b""
        data = os.pread(self.fd, size, self.offset + position)
        if not data:
            raise InvalidArchive(f"the file ends at byte {self.offset + position}, before its content does")
        return data

    def reach(self, position: int) -> int:
        """How far the region's bytes are there: past ``position``, unless it ends there. ``GrowingRegion`` waits."""
        return self.length

    def close(self) -> None:
        """Close the descriptor if it is owned; twice does nothing."""
        if self.owned:
            self.owned = False
            os.close(self.fd)


class DescriptorReader:
    """Reads a descriptor that need not be seekable: a pipe, a socket, standard input. Does not close it."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes."""
        return os.read(self.fd, size)


def read_exactly(source: BinaryReader, size: int) -> bytes:
    """``size`` bytes, or fewer only where the source ends."""
    parts: list[bytes] = []
    while size > 0 and (data := source.read(size)):
        parts.append(data)
        size -= len(data)
    return parts[0] if len(parts) == 1 else b"".join(parts)
