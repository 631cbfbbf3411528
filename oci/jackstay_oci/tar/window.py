"""The bytes of a tar as its reader sees them: a window that moves forward over a stream or over a file.

Guarantees that no more than a buffer is in memory, and that over a file what is skipped is not read. Leaves to the
reader what the bytes mean.
"""

from __future__ import annotations

import errno
import os
from typing import Protocol

from jackstay_oci.errors import InvalidArchive
from jackstay_oci.reading import BinaryReader, Region

_CHUNK = 1 << 18
_AFTER_SEEK = 1 << 12
_IN_KERNEL_FROM = 1 << 17
_NO_COPY = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM, errno.ENOTSOCK}
)


class Window(Protocol):
    """What the reader needs of its source."""

    position: int

    def take(self, size: int) -> bytes:
        """``size`` bytes; fewer only at the end."""
        ...

    def some(self, size: int) -> bytes:
        """1 to ``size`` bytes, as it suits; none only at the end."""
        ...

    def skip(self, size: int) -> int:
        """Pass over ``size`` bytes; how many there were."""
        ...

    def copy(self, out: int, size: int) -> int:
        """Write ``size`` bytes to the descriptor ``out``; how many there were."""
        ...


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of ``data`` to ``fd``."""
    count = os.write(fd, data)
    if count == len(data):
        return
    with memoryview(data) as view:
        while count < len(view):
            count += os.write(fd, view[count:])


class StreamWindow:
    """A window over a source that can only be read."""

    def __init__(self, source: BinaryReader) -> None:
        self._source = source
        self._buffer = b""
        self._at = 0
        self.position = 0

    def take(self, size: int) -> bytes:
        """See ``Window``."""
        end = self._at + size
        if end <= len(self._buffer):
            data = self._buffer[self._at : end]
            self._at = end
            self.position += size
            return data
        parts: list[bytes] = []
        while size > 0 and (data := self.some(size)):
            parts.append(data)
            size -= len(data)
        return b"".join(parts)

    def some(self, size: int) -> bytes:
        """See ``Window``."""
        if self._at == len(self._buffer):
            self._buffer, self._at = self._source.read(_CHUNK), 0
        data = self._buffer[self._at : self._at + size]
        self._at += len(data)
        self.position += len(data)
        return data

    def skip(self, size: int) -> int:
        """See ``Window``."""
        left = size
        while left > 0:
            if self._at == len(self._buffer):
                self._buffer, self._at = self._source.read(_CHUNK), 0
                if not self._buffer:
                    break
            step = min(left, len(self._buffer) - self._at)
            self._at += step
            left -= step
        self.position += size - left
        return size - left

    def copy(self, out: int, size: int) -> int:
        """See ``Window``."""
        left = size
        while left > 0 and (data := self.some(left)):
            write_all(out, data)
            left -= len(data)
        return size - left


class FileWindow:
    """A window over a range of a regular file. Large data goes from file to file inside the kernel."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._buffer = b""
        self._start = 0  # where in the region the buffer begins
        self._chunk = _CHUNK
        self._kernel_copies = True
        self._shares_extents = hasattr(os, "copy_file_range")
        self.position = 0

    def take(self, size: int) -> bytes:
        """See ``Window``."""
        at = self.position - self._start
        if at >= 0 and at + size <= len(self._buffer):
            self.position += size
            return self._buffer[at : at + size]
        parts: list[bytes] = []
        while size > 0 and (data := self.some(size)):
            parts.append(data)
            size -= len(data)
        return b"".join(parts)

    def some(self, size: int) -> bytes:
        """See ``Window``."""
        at = self.position - self._start
        if not 0 <= at < len(self._buffer):
            self._start, at = self.position, 0
            self._buffer = self._region.pread(self.position, self._chunk)
            self._chunk = min(self._chunk * 8, _CHUNK)
        data = self._buffer[at : at + size]
        self.position += len(data)
        return data

    def skip(self, size: int) -> int:
        """See ``Window``."""
        size = max(0, min(size, self._region.length - self.position))
        self.position += size
        if self.position > self._start + len(self._buffer):
            self._chunk = _AFTER_SEEK  # a header comes next, what follows it may be skipped again
        return size

    def copy(self, out: int, size: int) -> int:
        """See ``Window``."""
        size = max(0, min(size, self._region.length - self.position))
        left = size
        at = self.position - self._start
        if 0 <= at < len(self._buffer):
            data = self._buffer[at : at + left]
            write_all(out, data)
            self.position += len(data)
            left -= len(data)
        if left >= _IN_KERNEL_FROM and self._kernel_copies:
            left -= self._copy_in_kernel(out, left)
        while left > 0 and (data := self.some(left)):
            write_all(out, data)
            left -= len(data)
        return size - left

    def _copy_in_kernel(self, out: int, size: int) -> int:
        left = size
        while left > 0:
            there = self._region.reach(self.position) - self.position
            try:
                count = self._copy_some(out, min(left, there))
            except OSError as error:
                if error.errno not in _NO_COPY:
                    raise
                self._kernel_copies = False
                break
            if count == 0:
                raise InvalidArchive(f"the file ends {left} bytes before its content does")
            left -= count
            self.position += count
        return size - left

    def _copy_some(self, out: int, size: int) -> int:
        fd, at = self._region.fd, self._region.offset + self.position
        if self._shares_extents:
            try:
                return os.copy_file_range(fd, out, size, offset_src=at)
            except OSError as error:
                if error.errno not in _NO_COPY:
                    raise
                self._shares_extents = False  # two file systems, for one
        return os.sendfile(out, fd, at, size)
