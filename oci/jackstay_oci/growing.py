"""A file that one process writes while another reads it already: the two ends, and the pipe between them.

The writer tells how far the file is, and in the end the digest of the whole, once that is known to be right; whoever
sees the pipe end without one knows that the file broke off. On the pipe: eight bytes of the size to come, then any
number of eight bytes that say how far it is, then `_WHOLE` and the 32 bytes of the digest; little endian. Guarantees
that the writer never waits for the reader, who is told less often when it is slow, and that the reader sees no byte
that was not written.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from contextlib import suppress

from jackstay_oci.digest import Digest
from jackstay_oci.errors import Error
from jackstay_oci.reading import Region

_NUMBER = struct.Struct("<Q")
_WHOLE = (1 << 64) - 1
_DIGEST = 32
_UNREAD = 2048  # bytes in the pipe from which on a step is not told; well below what a pipe takes without waiting
_READ = 1 << 16


class BrokeOff(Error):
    """The file does not grow any more, and is not whole."""


class Growth:
    """The writer's end. `data` (the file, to be read) and `told` (the pipe's reading end) are for the reader."""

    def __init__(self, data: int, size: int) -> None:
        self.data = data
        self.told, self._telling = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._telling, False)
        self._tell(_NUMBER.pack(size))

    def grown(self, offset: int) -> None:
        """The file has *offset* bytes now."""
        if self._telling >= 0 and self._unread() < _UNREAD:
            self._tell(_NUMBER.pack(offset))

    def whole(self, digest: Digest) -> None:
        """The file has all its bytes, and *digest* is theirs and the one that was promised."""
        if self._telling >= 0:
            self._tell(_NUMBER.pack(_WHOLE) + bytes.fromhex(digest.hex))
            self.stop()

    def stop(self) -> None:
        """Nothing follows: before `whole`, the file broke off. Twice does nothing."""
        if self._telling >= 0:
            os.close(self._telling)
            self._telling = -1

    def close_reader(self) -> None:
        """Close what is for the reader, who has own copies of it or never came."""
        for descriptor in (self.data, self.told):
            if descriptor >= 0:
                os.close(descriptor)
        self.data = self.told = -1

    def _tell(self, message: bytes) -> None:
        with suppress(BrokenPipeError):  # nobody reads, and nobody has to
            os.write(self._telling, message)

    def _unread(self) -> int:
        return int.from_bytes(fcntl.ioctl(self._telling, termios.FIONREAD, bytes(4)), "little")


class GrowingRegion(Region):
    """The reader's end: the whole file as a region, in which a read waits until there is something to read.

    Args:
        fd: the file.
        told: the pipe.

    Raises:
        BrokeOff: from everything that waits.
    """

    __slots__ = ("_digest", "_message", "_there", "_told")

    def __init__(self, fd: int, told: int) -> None:
        self._told = told
        self._message = b""
        self._there = 0
        self._digest: Digest | None = None
        while len(self._message) < _NUMBER.size:
            self._receive()
        (size,) = _NUMBER.unpack_from(self._message)
        self._message = self._message[_NUMBER.size :]
        super().__init__(fd, 0, size)
        self._take()

    def reach(self, position: int) -> int:
        """See `Region.reach`."""
        while self._there <= position < self.length:
            self._receive()
            self._take()
        return self._there

    def pread(self, position: int, size: int) -> bytes:
        """See `Region.pread`."""
        if position >= self.length:
            return b""
        return super().pread(position, min(size, self.reach(position) - position))

    def digest(self) -> Digest:
        """The digest of the whole file, as the writer found it; waits for that."""
        while self._digest is None:
            self._receive()
            self._take()
        return self._digest

    def _receive(self) -> None:
        message = os.read(self._told, _READ)
        if not message:
            raise BrokeOff(f"the file broke off after {self._there} bytes")
        self._message += message

    def _take(self) -> None:
        """Take in every message that is here in whole."""
        while len(self._message) >= _NUMBER.size:
            (number,) = _NUMBER.unpack_from(self._message)
            end = _NUMBER.size
            if number == _WHOLE:
                end += _DIGEST
                if len(self._message) < end:
                    return
                self._digest = Digest.parse(f"sha256:{self._message[_NUMBER.size : end].hex()}")
                number = self.length
            self._there = number
            self._message = self._message[end:]
