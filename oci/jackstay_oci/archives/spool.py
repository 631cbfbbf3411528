"""Compressed archives and streams become a plain file that can be read at any place: unlinked, on disk, bounded."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from jackstay_oci.compression import Peeked, decompressing, detect
from jackstay_oci.errors import InvalidArchive, LimitExceeded
from jackstay_oci.limits import Limits
from jackstay_oci.reading import BinaryReader
from jackstay_oci.store.disk_errors import full_disk_named
from jackstay_oci.tar.window import write_all

_CHUNK = 1 << 18


def spool(source: BinaryReader, folder: Path | None, limits: Limits) -> int:
    """Write the plain bytes of ``source`` to a file without a name; its descriptor.

    Raises:
        InvalidArchive: the source is empty, or its compression is broken.
        LimitExceeded: it grows out of bounds.
        DiskFull: no space is left in ``folder``.
    """
    peeked = Peeked(source)
    if not peeked.head:
        raise InvalidArchive("it is empty")
    plain = decompressing(peeked, kind=detect(peeked.head), limits=limits)
    where = folder if folder is not None else Path(tempfile.gettempdir())
    total = 0
    with full_disk_named(f"a copy of the archive in {where}"):
        fd = unnamed(where)
        try:
            while data := plain.read(_CHUNK):
                total += len(data)
                if total > limits.total_bytes:
                    raise LimitExceeded(f"more than {limits.total_bytes} bytes (limit total_bytes)")
                write_all(fd, data)
            os.lseek(fd, 0, os.SEEK_SET)
        except BaseException:
            os.close(fd)
            raise
    return fd


def unnamed(folder: Path) -> int:
    """A new file in *folder* that has no name and goes with its descriptor."""
    try:
        return os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except (AttributeError, IsADirectoryError, OSError):  # macOS, and file systems without O_TMPFILE
        fd, path = tempfile.mkstemp(prefix="jackstay-", dir=folder)
        os.unlink(path)
        return fd
