"""gzip, zstd, xz and bzip2 as streams: told apart by their first bytes, decompressed within bounds, compressed again.

Guarantees that several gzip members or zstd frames in a row read as one stream (skippable frames are passed over), that
broken or truncated data raises ``InvalidArchive`` and never ends quietly, that memory is bounded by a buffer and zstd's
window (128 MiB at most), and that compressing the same bytes gives the same bytes.
"""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable
from typing import Literal, Protocol

from isal import isal_zlib

from jackstay_oci.errors import InvalidArchive, LimitExceeded
from jackstay_oci.limits import DEFAULT_LIMITS, Limits
from jackstay_oci.reading import BinaryReader

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["HEAD", "BinaryReader", "Compressor", "Kind", "Peeked", "compressing", "decompressing", "detect"]

Kind = Literal["none", "gzip", "zstd", "xz", "bzip2"]

HEAD = 6
"""How many first bytes ``detect`` needs."""

_IN = 1 << 17
_OUT = 1 << 18
_GZIP_WINDOW = 31  # 15 bits, and 16 for gzip's header
_ZSTD_WINDOW_LOG = 27


def detect(head: bytes) -> Kind:
    """How a stream with these first bytes is compressed."""
    if head.startswith(b"\x1f\x8b\x08"):
        return "gzip"
    if head.startswith(b"\x28\xb5\x2f\xfd") or (head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50):
        return "zstd"
    if head.startswith(b"\xfd7zXZ\0"):
        return "xz"
    if head.startswith(b"BZh"):
        return "bzip2"
    return "none"


class Peeked:
    """A reader whose first bytes were looked at: gives them again, then goes on with the source."""

    def __init__(self, source: BinaryReader, size: int = HEAD) -> None:
        self._source = source
        self.head = b""
        while len(self.head) < size and (data := source.read(size - len(self.head))):
            self.head += data
        self._again = self.head

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes."""
        if self._again:
            data, self._again = self._again[:size], self._again[size:]
            return data
        return self._source.read(size)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """isal's inflate, which works as zlib's, with the interface of the other three."""

    def __init__(self) -> None:
        self._inflate = isal_zlib.decompressobj(wbits=_GZIP_WINDOW)

    @property
    def eof(self) -> bool:
        return bool(self._inflate.eof)

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inflate.unused_data)

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return bytes(self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length))


def _zstd() -> _Decompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})


_DECOMPRESSORS: dict[Kind, Callable[[], _Decompressor]] = {
    "gzip": _Gzip,
    "zstd": _zstd,
    "xz": lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=256 << 20),
    "bzip2": bz2.BZ2Decompressor,
}
_BROKEN: tuple[type[Exception], ...] = (
    isal_zlib.IsalError,  # type: ignore[assignment]  # its stubs call the class an instance
    zlib.error,
    zstd.ZstdError,
    lzma.LZMAError,
    OSError,
    ValueError,
    EOFError,
)


def decompressing(read: BinaryReader, *, kind: Kind | None = None, limits: Limits = DEFAULT_LIMITS) -> BinaryReader:
    """The plain bytes of ``read``.

    Args:
        read: the source.
        kind: how it is compressed; found out when not given.
        limits: of these, ``total_bytes``, ``ratio`` and ``ratio_after``.

    Raises:
        InvalidArchive: from ``read(n)`` of the result: the data is broken or truncated.
        LimitExceeded: from ``read(n)`` of the result: it grows out of bounds.
    """
    if kind is None:
        read = peeked = Peeked(read)
        kind = detect(peeked.head)
    return read if kind == "none" else _Decompressing(read, kind, limits)


class _Decompressing:
    def __init__(self, source: BinaryReader, kind: Kind, limits: Limits) -> None:
        self._source = source
        self._kind = kind
        self._limits = limits
        self._new = _DECOMPRESSORS[kind]
        self._member = self._new()
        self._begun = False  # whether the current member has had input
        self._rest = b""  # input not yet given to it
        self._in = 0
        self._out = 0
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """At most ``size`` plain bytes."""
        while not self._ended:
            data = self._step(min(size, _OUT))
            if data:
                self._out += len(data)
                self._check()
                return data
        return b""

    def _step(self, size: int) -> bytes:
        if self._member.eof and not self._next_member():
            return b""
        packed, asked = b"", False
        if self._member.needs_input or not self._begun:
            packed, self._rest = self._rest or self._input(), b""
            asked = True
        self._begun = True
        try:
            data = self._member.decompress(packed, size)
        except _BROKEN as error:
            raise InvalidArchive(f"broken {self._kind} data: {error}") from error
        # A decompressor may hold back output although it has taken all input: only silence is the end.
        if asked and not packed and not data and not self._member.eof:
            raise InvalidArchive(f"truncated {self._kind} data")
        return data

    def _next_member(self) -> bool:
        """Go on with the next member, if one follows; zeros after the last are padding (tapes, ``dd``)."""
        self._rest = self._member.unused_data or self._input()
        while self._rest and not self._rest.strip(b"\0") and self._kind in ("gzip", "xz", "bzip2"):
            self._rest = self._input()
        if self._kind in ("gzip", "xz", "bzip2"):
            self._rest = self._rest.lstrip(b"\0")
        if not self._rest:
            self._ended = True
            return False
        while len(self._rest) < HEAD and (data := self._input()):
            self._rest += data
        if detect(self._rest) != self._kind:
            raise InvalidArchive(f"other data after the end of the {self._kind} data")
        self._member = self._new()
        self._begun = False
        return True

    def _input(self) -> bytes:
        data = self._source.read(_IN)
        self._in += len(data)
        return data

    def _check(self) -> None:
        limits = self._limits
        if self._out > limits.total_bytes:
            raise LimitExceeded(f"decompresses to more than {limits.total_bytes} bytes (limit total_bytes)")
        if self._out > limits.ratio_after and self._out > self._in * limits.ratio:
            raise LimitExceeded(f"decompresses to more than {limits.ratio} times its size (limit ratio)")


class _Writer(Protocol):
    def write(self, data: bytes, /) -> object: ...


class Compressor:
    """Compresses what is written and passes it on to ``out``; ``close`` writes the end and leaves ``out`` open."""

    def __init__(self, out: _Writer, kind: Literal["none", "gzip", "zstd"], level: int | None = None) -> None:
        self._out = out
        self._compress: Callable[[bytes], bytes]
        self._finish: Callable[[], bytes]
        if kind == "gzip":
            # wbits 31: isal's own gzip header, with time 0 and no name.
            deflate = isal_zlib.compressobj(2 if level is None else level, wbits=_GZIP_WINDOW)
            self._compress, self._finish = deflate.compress, deflate.flush
        elif kind == "zstd":
            frame = zstd.ZstdCompressor(level=3 if level is None else level)
            self._compress, self._finish = frame.compress, frame.flush
        else:
            self._compress, self._finish = bytes, bytes
        self._closed = False

    def write(self, data: bytes, /) -> int:
        """Take all of ``data``."""
        if packed := self._compress(data):
            self._out.write(packed)
        return len(data)

    def close(self) -> None:
        """Write what is held back and the end."""
        if not self._closed:
            self._closed = True
            if packed := self._finish():
                self._out.write(packed)


def compressing(out: _Writer, kind: Literal["none", "gzip", "zstd"], *, level: int | None = None) -> Compressor:
    """A writer whose bytes reach ``out`` compressed; the same bytes and level always give the same result.

    Args:
        out: anything with ``write(bytes)``.
        kind: the compression.
        level: 0 to 3 for gzip (isal), 1 to 19 for zstd; a middle one when not given.
    """
    return Compressor(out, kind, level)
