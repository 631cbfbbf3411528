"""Asks the kernel to begin writing a file out, without waiting for it. Promises nothing: that is for ``fsync``."""

from __future__ import annotations

import ctypes
import errno
import os

_WRITE = 2  # SYNC_FILE_RANGE_WRITE, sync_file_range(2)
_NOT_HERE = (errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.ESPIPE)
_libc = ctypes.CDLL(None, use_errno=True)


def begin(fd: int, offset: int, size: int) -> None:
    """Begin with the bytes ``[offset, offset + size)``, with a ``size`` of 0 with all from ``offset`` on.

    Where that cannot be asked for (macOS), nothing happens.

    Raises:
        OSError: an earlier write has failed.
    """
    if not hasattr(_libc, "sync_file_range"):
        return
    if _libc.sync_file_range(fd, ctypes.c_int64(offset), ctypes.c_int64(size), ctypes.c_uint(_WRITE)) < 0:
        error = ctypes.get_errno()
        if error in _NOT_HERE:
            return
        raise OSError(error, os.strerror(error))
