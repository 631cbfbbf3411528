"""Writes a tar, reproducibly: ustar headers, and PAX in front of those that need it.

Guarantees that the same entries give the same bytes: no user names, no clock, records in a fixed order. Leaves to its
callers the order of the entries and which times they carry.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Protocol

from jackstay_oci.errors import InvalidArgument
from jackstay_oci.reading import BinaryReader
from jackstay_oci.tar.entries import MAX_ID, Entry, Kind
from jackstay_oci.tar.header import BLOCK, ZERO_BLOCK
from jackstay_oci.tar.numbers import format_number, format_time
from jackstay_oci.tar.pax import XATTR_PREFIX, format_records

_TYPES = {
    Kind.FILE: b"0",
    Kind.HARDLINK: b"1",
    Kind.SYMLINK: b"2",
    Kind.CHARACTER: b"3",
    Kind.BLOCK: b"4",
    Kind.DIRECTORY: b"5",
    Kind.FIFO: b"6",
}
_BILLION = 1_000_000_000
_RECORD = 20 * BLOCK
_COPY = 1 << 20
_JOINED = 1 << 18  # bytes of content up to which it is written in one piece with its header


class BinaryWriter(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object:
        """Take all of ``data``."""
        ...


class TarWriter:
    """Writes entries to ``out``, which stays open. As a context manager it closes only after a block without error.

    Args:
        out: anything with ``write(bytes)`` that takes all it is given.
        nanoseconds: keep the fraction of times (PAX); else they are cut to the second, which needs no PAX.
    """

    def __init__(self, out: BinaryWriter, *, nanoseconds: bool = False) -> None:
        self._out = out
        self._nanoseconds = nanoseconds
        self._closed = False
        self.position = 0

    def __enter__(self) -> TarWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()

    def add(self, entry: Entry, content: bytes | BinaryReader | int | None = None) -> None:
        """Write one entry and, for a file, exactly ``entry.size`` bytes of content.

        Args:
            entry: the header; ``offset`` and ``contiguous`` are not looked at.
            content: bytes, a reader, or a descriptor read from its current offset on.

        Raises:
            InvalidArgument: an id is out of bounds, a name has a NUL, the content is shorter than the size.
        """
        size = entry.size if entry.kind is Kind.FILE else 0
        if isinstance(content, bytes) and len(content) != size:
            raise InvalidArgument(f"entry {entry.name!r} says {size} bytes, its content has {len(content)}")
        head = header_bytes(entry, nanoseconds=self._nanoseconds)
        if isinstance(content, bytes) and size <= _JOINED:
            self._write(head + content + bytes(-size % BLOCK))
            return
        self._write(head)
        if size:
            self._copy(entry, content, size)
            self._write(bytes(-size % BLOCK))

    def close(self) -> None:
        """Write the end: two blocks of zeros, and zeros up to a full record, as GNU tar does."""
        if not self._closed:
            self._closed = True
            self._write(ZERO_BLOCK * 2)
            self._write(bytes(-self.position % _RECORD))

    def _copy(self, entry: Entry, content: bytes | BinaryReader | int | None, size: int) -> None:
        if isinstance(content, bytes):
            self._write(content)
            return
        left = size
        while left > 0:
            wanted = min(left, _COPY)
            if content is None:
                data = b""
            else:
                data = os.read(content, wanted) if isinstance(content, int) else content.read(wanted)
            if not data:
                raise InvalidArgument(f"the content of {entry.name!r} ends {left} bytes short of its {size}")
            self._write(data)
            left -= len(data)

    def _write(self, data: bytes) -> None:
        if data:
            self._out.write(data)
            self.position += len(data)


def header_bytes(entry: Entry, *, nanoseconds: bool = False) -> bytes:
    """The header of an entry, with a PAX header before it where ustar cannot say everything.

    Raises:
        InvalidArgument: an id is out of bounds, a name has a NUL, or an attribute's name a ``=``.
    """
    if not (0 <= entry.uid <= MAX_ID and 0 <= entry.gid <= MAX_ID):
        raise InvalidArgument(f"entry {entry.name!r} belongs to {entry.uid}:{entry.gid}, ids go from 0 to {MAX_ID}")
    if b"\0" in entry.name or b"\0" in entry.linkname or not entry.name:
        raise InvalidArgument(f"entry {entry.name!r}: a name is not empty and has no NUL")
    if odd := [key for key in entry.xattrs if b"=" in key]:
        raise InvalidArgument(
            f"entry {entry.name!r} has an attribute {odd[0]!r}, whose name no tar can say", hint="remove the attribute"
        )
    records: list[tuple[bytes, bytes]] = []
    prefix, name = _split_name(entry.name)
    if not name:
        records.append((b"path", entry.name))
        name = entry.name[:100]
    linkname = entry.linkname
    if len(linkname) > 100:
        records.append((b"linkpath", linkname))
        linkname = linkname[:100]
    size = entry.size if entry.kind is Kind.FILE else 0
    numbers: dict[bytes, bytes] = {}
    for key, value, width in ((b"uid", entry.uid, 8), (b"gid", entry.gid, 8), (b"size", size, 12)):
        field = format_number(value, width)
        if field is None:
            records.append((key, b"%d" % value))
        numbers[key] = field or format_number(0, width) or b""
    seconds, fraction = divmod(entry.mtime_ns, _BILLION)
    mtime = format_number(seconds, 12)
    if mtime is None or (fraction and nanoseconds):
        records.append((b"mtime", format_time(entry.mtime_ns if nanoseconds else seconds * _BILLION)))
    records += [(XATTR_PREFIX + key, value) for key, value in sorted(entry.xattrs.items())]
    head = _block(
        name, entry.mode & 0o7777, numbers[b"uid"], numbers[b"gid"], numbers[b"size"], mtime or b"0" * 11 + b"\0",
        _TYPES[entry.kind], linkname, entry, prefix,
    )  # fmt: skip
    return _pax_header(records) + head if records else head


def _split_name(name: bytes) -> tuple[bytes, bytes]:
    """The prefix and name of ustar; an empty name when it does not fit."""
    if len(name) <= 100:
        return b"", name
    # The cut is a slash: up to 155 bytes before it, 1 to 100 after it; a folder's last slash is no cut.
    cut = name.find(b"/", len(name) - 101, min(156, len(name) - 1))
    return (name[:cut], name[cut + 1 :]) if cut > 0 else (b"", b"")


def _pax_header(records: list[tuple[bytes, bytes]]) -> bytes:
    data = format_records(records)
    zero = b"0000000\0"
    size = format_number(len(data), 12)
    if size is None:
        raise InvalidArgument(f"a PAX header of {len(data)} bytes is too large")
    head = _block(b"PaxHeaders/entry", 0o644, zero, zero, size, b"0" * 11 + b"\0", b"x", b"", None, b"")
    return head + data + bytes(-len(data) % BLOCK)


def _block(
    name: bytes, mode: int, uid: bytes, gid: bytes, size: bytes, mtime: bytes, kind: bytes, linkname: bytes,
    entry: Entry | None, prefix: bytes,
) -> bytes:  # fmt: skip
    devices = [b"0000000\0", b"0000000\0"]
    if entry is not None and entry.kind in (Kind.CHARACTER, Kind.BLOCK):
        for at, number in enumerate((entry.devmajor, entry.devminor)):
            field = format_number(number, 8)
            if field is None:
                raise InvalidArgument(f"entry {entry.name!r} has a device number out of bounds")
            devices[at] = field
    block = b"".join(
        (
            name.ljust(100, b"\0"), b"%07o\0" % mode, uid, gid, size, mtime, b" " * 8, kind, linkname.ljust(100, b"\0"),
            b"ustar\x0000", bytes(64), *devices, prefix.ljust(155, b"\0"), bytes(12),
        )
    )  # fmt: skip
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]
