"""A tar of a file system as a layer: its digest, its diffID, and a descriptor that any range can be read from.

What can be a layer is kept exactly as it came: plain, gzip, zstd. bzip2 and xz have no layer type, so the plain tar is
kept. A regular file is read in place; anything else, and what is unpacked, goes to a file without a name in the spool
folder. It is read once: hashed, written and decompressed on the way. Memory is a few buffers and zstd's window.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jackstay.errors import Error, InvalidArchive, LimitExceeded
from jackstay_oci import media_types
from jackstay_oci.archives.spool import unnamed
from jackstay_oci.compression import Peeked, decompressing, detect
from jackstay_oci.digest import Digest, hasher
from jackstay_oci.limits import DEFAULT_LIMITS, Limits
from jackstay_oci.reading import DescriptorReader
from jackstay_oci.store.disk_errors import full_disk_named
from jackstay_oci.tar.header import BLOCK, ZERO_BLOCK, parse_header
from jackstay_oci.tar.window import write_all

if TYPE_CHECKING:
    from jackstay_oci.reading import BinaryReader

_PIECE = 1 << 18
_TYPES = {
    "none": media_types.OCI_LAYER,
    "gzip": media_types.OCI_LAYER_GZIP,
    "zstd": media_types.OCI_LAYER_ZSTD,
    "xz": media_types.OCI_LAYER,
    "bzip2": media_types.OCI_LAYER,
}


@dataclass(frozen=True, slots=True)
class TarLayer:
    """A layer in the file *fd*, which belongs to whoever has this."""

    fd: int
    size: int  # bytes, as it is kept
    digest: Digest
    diff_id: Digest
    media_type: str


def read_file(
    fd: int, name: str, folder: Callable[[], Path], stop: threading.Event, limits: Limits = DEFAULT_LIMITS
) -> TarLayer:
    """The layer in the descriptor *fd*, which is closed unless the layer has it.

    Args:
        fd: a regular file, a pipe, a terminal's end.
        name: what errors call it.
        folder: gives the spool folder, when one is needed.
        stop: set by who does not want it any more.
        limits: of these, the bounds on bytes and on what compression gives.

    Raises:
        InvalidArchive: it is empty, no tar, or its compression is broken.
        LimitExceeded: it grows out of bounds.
        DiskFull: no space is left in the spool folder.
    """
    kept = False
    try:
        seekable = stat.S_ISREG(os.fstat(fd).st_mode) and os.lseek(fd, 0, os.SEEK_CUR) == 0
        layer = read_stream(DescriptorReader(fd), name, folder, stop, limits, in_place=fd if seekable else None)
        kept = layer.fd == fd
        return layer
    finally:
        if not kept:
            os.close(fd)


def read_stream(
    source: BinaryReader,
    name: str,
    folder: Callable[[], Path],
    stop: threading.Event,
    limits: Limits = DEFAULT_LIMITS,
    *,
    in_place: int | None = None,
) -> TarLayer:
    """The layer that *source* gives; *in_place* is the file that it reads, when its bytes can be had from there.

    Raises: see :func:`read_file`.
    """
    peeked = Peeked(source)
    if not peeked.head:
        raise InvalidArchive(f"{name} is empty", hint="import takes a tar of a file system")
    kind = detect(peeked.head)
    as_it_came = kind in ("none", "gzip", "zstd")
    fd = in_place if in_place is not None and as_it_came else unnamed(folder())
    try:
        kept = None if fd == in_place else fd
        total = limits.total_bytes
        plain = raw = _Passing(peeked, kept if as_it_came else None, stop, total)
        if kind != "none":
            unpacked = decompressing(raw, kind=kind, limits=limits)
            plain = _Passing(unpacked, None if as_it_came else fd, stop, total)
        with full_disk_named("a copy of the tar on this machine"):
            try:
                _check(plain)
                while plain.read(_PIECE):
                    pass
            except (InvalidArchive, LimitExceeded) as error:
                raise type(error)(f"{name}: {error.message}", hint=error.hint) from error
        layer = raw if as_it_came else plain
        return TarLayer(fd, layer.size, Digest.finish(layer.hash), Digest.finish(plain.hash), _TYPES[kind])
    except BaseException:
        if fd != in_place:
            os.close(fd)
        raise


class _Passing:
    """Passes bytes on: hashed, counted, and written to *out* unless it is None."""

    def __init__(self, source: BinaryReader, out: int | None, stop: threading.Event, total: int) -> None:
        self._source = source
        self._total = total
        self._out = out
        self._stop = stop
        self.hash = hasher()
        self.size = 0

    def read(self, size: int, /) -> bytes:
        if self._stop.is_set():
            raise Error("the import was given up")
        data = self._source.read(size)
        self.hash.update(data)
        self.size += len(data)
        if self.size > self._total:
            raise LimitExceeded(f"more than {self._total} bytes (limit total_bytes)")
        if self._out is not None:
            write_all(self._out, data)
        return data


def _check(source: BinaryReader) -> None:
    """Look at the first header, so that what is no tar at all is not sent to anybody."""
    head = b""
    while len(head) < BLOCK and (data := source.read(BLOCK - len(head))):
        head += data
    try:
        if len(head) < BLOCK:
            raise InvalidArchive("too short")
        if head != ZERO_BLOCK:  # of an empty one
            parse_header(head)
    except InvalidArchive:
        raise InvalidArchive("this is no tar archive", hint="import takes a tar of a file system") from None
