"""Reads a tar in one pass: headers become ``Entry`` values, content is read, copied or passed over.

Understands v7, ustar, PAX, GNU long names, base-256 numbers and sparse files (holes come out as zeros). Guarantees that
malformed or truncated input raises ``InvalidArchive``, that bounds hold (``LimitExceeded``), that memory does not grow
with the tar, and that over a file descriptor content which nobody asks for is not read. Names stay as they are: where
they may lead is for whoever unpacks.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator

from jackstay_oci.errors import InvalidArchive, LimitExceeded
from jackstay_oci.limits import DEFAULT_LIMITS, Limits
from jackstay_oci.reading import BinaryReader, DescriptorReader, Region
from jackstay_oci.tar import sparse
from jackstay_oci.tar.entries import MAX_ID, Entry, Kind
from jackstay_oci.tar.header import BLOCK, ZERO_BLOCK, Header, parse_header
from jackstay_oci.tar.numbers import parse_decimal, parse_time
from jackstay_oci.tar.pax import XATTR_PREFIX, parse_records
from jackstay_oci.tar.window import FileWindow, StreamWindow, Window, write_all

_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"S": Kind.FILE,
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER,
    b"4": Kind.BLOCK,
    b"5": Kind.DIRECTORY,
    b"6": Kind.FIFO,
}
_COPY = 1 << 18
_MAX_TIME = (1 << 40) * 10**9
_MAX_DEV = (1 << 31) - 1  # what os.makedev takes
_ZEROS = bytes(1 << 16)
_MEANT = frozenset({b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime"})
_MEANT_BEGIN = (XATTR_PREFIX, b"GNU.sparse.")
_Records = dict[bytes, bytes]


class TarReader:
    """Iterates over the entries of a tar; the content of the current one is read with the other methods.

    Args:
        source: a descriptor (of a regular file: then its current offset is neither used nor moved), a region of a
            file, or anything with ``read(n)``.
        limits: bounds.
        name: what messages begin with, for instance the digest of the layer.
    """

    def __init__(self, source: BinaryReader | Region | int, limits: Limits = DEFAULT_LIMITS, *, name: str = "") -> None:
        self._window = _window(source)
        self._limits = limits
        self._prefix = f"{name}: " if name else ""
        self._global: _Records = {}
        self._headers = 0
        self._total = 0
        self._left = 0  # stored bytes of the current entry not yet passed
        self._padding = 0
        self._parts: deque[tuple[int, int]] | None = None  # of a sparse file, what is still to come
        self._logical = 0  # position in the current file, holes counted
        self._size = 0
        self._ended = False

    def __iter__(self) -> Iterator[Entry]:
        return self

    def __next__(self) -> Entry:
        """The next entry; what was not read of the one before is passed over.

        Raises:
            InvalidArchive: the tar is malformed or truncated.
            LimitExceeded: a bound was passed.
        """
        if self._ended:
            raise StopIteration
        try:
            entry = self._advance()
        except InvalidArchive as error:
            raise InvalidArchive(self._prefix + error.message, hint=error.hint) from error
        except LimitExceeded as error:
            raise LimitExceeded(self._prefix + error.message, hint=error.hint) from error
        if entry is None:
            self._ended = True
            raise StopIteration
        return entry

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes of the current file, all that is left when negative; empty at its end.

        Raises:
            InvalidArchive: the tar ends first.
        """
        if size < 0:
            return b"".join(self.chunks())
        return self._some(size) if size else b""

    def chunks(self) -> Iterator[bytes]:
        """What is left of the current file, in pieces of at most 256 KiB."""
        while data := self._some(_COPY):
            yield data

    def copy_to_fd(self, fd: int) -> int:
        """Write what is left of the current file to ``fd``; how many bytes, holes counted.

        The kernel copies where it can. Holes stay holes when ``fd`` is a regular file.

        Raises:
            InvalidArchive: the tar ends first.
            OSError: writing failed.
        """
        if self._parts is not None:
            return self._copy_sparse(fd)
        wanted, self._left = self._left, 0
        if self._window.copy(fd, wanted) < wanted:
            raise self._truncated()
        self._logical += wanted
        return wanted

    def drain(self) -> int:
        """Read the source to its end, past the tar's own; how many bytes. So that a digest over the source is whole."""
        count = 0
        while data := self._window.some(_COPY):
            count += len(data)
        self._ended = True
        self._left = 0
        self._parts = None
        return count

    def _advance(self) -> Entry | None:
        self._pass_content()
        pairs: list[tuple[bytes, bytes]] = []
        long_name: bytes | None = None
        long_link: bytes | None = None
        while True:
            block = self._window.take(BLOCK)
            if not block or block == ZERO_BLOCK:
                if pairs or long_name is not None or long_link is not None:
                    raise InvalidArchive("truncated after an extension header")
                return None
            if len(block) < BLOCK:
                raise InvalidArchive("truncated inside a header")
            self._headers += 1
            if self._headers > self._limits.entries:
                raise LimitExceeded(f"more than {self._limits.entries} entries (limit entries)")
            header = parse_header(block)
            if header.type in (b"x", b"X"):
                pairs = parse_records(self._extension(header))
            elif header.type == b"g":
                self._merge_global(parse_records(self._extension(header)))
            elif header.type == b"L":
                long_name = self._extension(header).split(b"\0", 1)[0]
            elif header.type == b"K":
                long_link = self._extension(header).split(b"\0", 1)[0]
            elif header.type == b"V":
                self._pass(header.size)
            else:
                return self._entry(header, pairs, long_name, long_link)

    def _merge_global(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self._global.update((key, value) for key, value in pairs if key in _MEANT or key.startswith(_MEANT_BEGIN))
        if sum(len(key) + len(value) for key, value in self._global.items()) > self._limits.global_bytes:
            raise LimitExceeded(f"global headers of more than {self._limits.global_bytes} bytes (limit global_bytes)")

    def _extension(self, header: Header) -> bytes:
        """The content of an extension header, in memory and therefore bounded."""
        if not 0 <= header.size <= self._limits.header_bytes:
            bound = self._limits.header_bytes
            raise LimitExceeded(
                f"an extension header of {header.size} bytes, the bound is {bound} (limit header_bytes)"
            )
        data = self._window.take(header.size)
        if len(data) < header.size:
            raise InvalidArchive("truncated inside an extension header")
        self._window.skip(-header.size % BLOCK)
        return data

    def _entry(
        self, header: Header, pairs: list[tuple[bytes, bytes]], long_name: bytes | None, long_link: bytes | None
    ) -> Entry:
        kind = _KINDS.get(header.type)
        if kind is None:
            raise InvalidArchive(f"entry {header.name[:100]!r} is of unknown type {header.type!r}")
        name = header.name if long_name is None else long_name
        linkname = header.linkname if long_link is None else long_link
        records = _records(self._global, pairs)
        if not records:
            uid, gid, stored, mtime_ns, xattrs = header.uid, header.gid, header.size, header.mtime * 10**9, {}
        else:
            name = records.get(b"GNU.sparse.name", records.get(b"path", name))
            linkname = records.get(b"linkpath", linkname)
            uid = parse_decimal(records[b"uid"], "uid") if b"uid" in records else header.uid
            gid = parse_decimal(records[b"gid"], "gid") if b"gid" in records else header.gid
            stored = parse_decimal(records[b"size"], "size") if b"size" in records else header.size
            mtime_ns = parse_time(records[b"mtime"]) if b"mtime" in records else header.mtime * 10**9
            xattrs = {
                key.removeprefix(XATTR_PREFIX): value for key, value in records.items() if key.startswith(XATTR_PREFIX)
            }
        self._check_names(name, linkname)
        if not (0 <= uid <= MAX_ID and 0 <= gid <= MAX_ID):
            raise InvalidArchive(f"entry {name[:100]!r} belongs to {uid}:{gid}, ids go from 0 to {MAX_ID}")
        if not (-_MAX_TIME <= mtime_ns <= _MAX_TIME and 0 <= header.devmajor <= _MAX_DEV >= header.devminor >= 0):
            raise InvalidArchive(f"entry {name[:100]!r} has a time or a device number out of bounds")
        if kind is Kind.FILE and name.endswith(b"/") and header.type in (b"0", b"\0"):
            kind = Kind.DIRECTORY  # v7 had no type for folders
        size = self._begin_content(header, records, pairs, kind, stored)
        return Entry(
            name=name,
            kind=kind,
            mode=header.mode & 0o7777,
            uid=uid,
            gid=gid,
            size=size,
            mtime_ns=mtime_ns,
            linkname=linkname if kind in (Kind.SYMLINK, Kind.HARDLINK) else b"",
            devmajor=header.devmajor,
            devminor=header.devminor,
            xattrs=xattrs,
            offset=self._window.position,
            contiguous=self._parts is None,
        )

    def _begin_content(
        self, header: Header, records: _Records, pairs: list[tuple[bytes, bytes]], kind: Kind, stored: int
    ) -> int:
        """Stand at the entry's content, with its sparse map if it has one; the file's size."""
        self._parts, self._logical = None, 0
        if kind is not Kind.FILE:
            stored = 0  # Go's archive/tar and Python's tarfile pass over a size here, too
        if stored < 0:
            raise InvalidArchive(f"entry {header.name[:100]!r} has a negative size")
        self._left, self._padding = stored, -stored % BLOCK
        self._size = stored
        limit = self._limits.sparse_parts
        if header.type == b"S":
            parts, self._size = sparse.old_gnu_map(header.block, self._window, limit)
            self._parts = deque(sparse.checked(parts, self._size, stored))
        elif kind is Kind.FILE and records and (b"GNU.sparse.major" in records or b"GNU.sparse.size" in records):
            self._begin_pax_sparse(records, pairs, stored, limit)
        self._total += self._size
        if self._total > self._limits.total_bytes:
            raise LimitExceeded(f"content of more than {self._limits.total_bytes} bytes (limit total_bytes)")
        return self._size

    def _begin_pax_sparse(
        self, records: _Records, pairs: list[tuple[bytes, bytes]], stored: int, limit: int
    ) -> None:  # fmt: skip
        major = records.get(b"GNU.sparse.major", b"0")
        self._size = parse_decimal(
            records.get(b"GNU.sparse.realsize", records.get(b"GNU.sparse.size", b"")), "sparse file's size"
        )
        if major == b"1":
            parts, taken = sparse.pax_1_map(self._window, stored, limit)
            self._left = stored - taken
        elif major == b"0":
            parts = sparse.pax_map(records, pairs, limit)
        else:
            raise InvalidArchive(f"a sparse file of unknown form {major[:20]!r}")
        self._parts = deque(sparse.checked(parts, self._size, self._left))

    def _check_names(self, name: bytes, linkname: bytes) -> None:
        for text in (name, linkname):
            if len(text) > self._limits.name_bytes:
                raise LimitExceeded(
                    f"a name of {len(text)} bytes, the bound is {self._limits.name_bytes} (limit name_bytes)"
                )
            if b"\0" in text:
                raise InvalidArchive(f"a NUL in the name {text[:100]!r}")

    def _some(self, size: int) -> bytes:
        if self._parts is not None:
            return self._some_sparse(size)
        if self._left == 0:
            return b""
        data = self._window.some(min(size, self._left))
        if not data:
            raise self._truncated()
        self._left -= len(data)
        self._logical += len(data)
        return data

    def _some_sparse(self, size: int) -> bytes:
        """Data or zeros at the logical position, whichever it stands in."""
        parts = self._parts or deque()
        while parts and sum(parts[0]) <= self._logical:
            parts.popleft()
        start, end = (parts[0][0], sum(parts[0])) if parts else (self._size, self._size)
        if self._logical < start:
            data = _ZEROS[: min(size, start - self._logical)]
        else:
            wanted = min(size, end - self._logical)
            data = self._window.some(wanted) if wanted else b""
            if wanted and not data:
                raise self._truncated()
            self._left -= len(data)
        self._logical += len(data)
        return data

    def _copy_sparse(self, fd: int) -> int:
        begun = self._logical
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            for data in self.chunks():
                write_all(fd, data)
            return self._logical - begun
        base = os.lseek(fd, 0, os.SEEK_CUR) - begun
        for offset, length in self._parts or []:
            skipped = max(0, self._logical - offset)
            if skipped >= length:
                continue
            os.lseek(fd, base + offset + skipped, os.SEEK_SET)
            wanted = length - skipped
            self._left -= wanted
            if self._window.copy(fd, wanted) < wanted:
                raise self._truncated()
            self._logical = offset + length
        self._parts, self._logical = deque(), self._size
        end = base + self._size
        if os.fstat(fd).st_size < end:
            os.ftruncate(fd, end)
        os.lseek(fd, end, os.SEEK_SET)
        return self._size - begun

    def _pass_content(self) -> None:
        wanted, self._left, self._parts = self._left, 0, None
        if self._window.skip(wanted) < wanted:
            raise InvalidArchive("truncated inside a file's content")
        self._window.skip(self._padding)
        self._padding = 0

    def _pass(self, size: int) -> None:
        if size < 0 or self._window.skip(size) < size:
            raise InvalidArchive("truncated inside a header's content")
        self._window.skip(-size % BLOCK)

    def _truncated(self) -> InvalidArchive:
        return InvalidArchive(f"{self._prefix}truncated inside a file's content")


def _records(common: _Records, pairs: list[tuple[bytes, bytes]]) -> _Records:
    """The records that hold for one entry: its own over the global ones; an empty value takes one away."""
    if not common and not pairs:
        return common
    return {key: value for key, value in {**common, **dict(pairs)}.items() if value or key.startswith(XATTR_PREFIX)}


def _window(source: BinaryReader | Region | int) -> Window:
    if isinstance(source, int):
        status = os.fstat(source)
        if not stat.S_ISREG(status.st_mode):
            return StreamWindow(DescriptorReader(source))
        source = Region(source, 0, status.st_size)
    return FileWindow(source) if isinstance(source, Region) else StreamWindow(source)
