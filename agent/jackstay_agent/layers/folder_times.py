"""Modification times of folders, remembered until everything in them is made.

They are kept in a file without a name in the folder that is unpacked into, not in memory: a layer may have as many
folders as it likes.
"""

from __future__ import annotations

import errno
import os
import struct

from jackstay_agent.kernel import syscalls

_HEAD = struct.Struct("<qH")
_REPLACED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # since then, by anything
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class FolderTimes:
    """Times by path, for the tree below the folder *root*."""

    def __init__(self, root: int) -> None:
        self._root = root
        descriptor = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=root)
        self._file = os.fdopen(descriptor, "w+b", buffering=1 << 16)

    def remember(self, path: bytes, mtime_ns: int) -> None:
        """The folder *path* (b"." for the root) is to get this time; the last word counts."""
        self._file.write(_HEAD.pack(mtime_ns, len(path)) + path)

    def set_all(self) -> None:
        """Give every folder that is still there its time."""
        self._file.seek(0)
        while head := self._file.read(_HEAD.size):
            mtime_ns, length = _HEAD.unpack(head)
            path = self._file.read(length)
            try:
                self._set(path, mtime_ns)
            except OSError as error:
                if error.errno not in _REPLACED:
                    raise

    def close(self) -> None:
        """Forget all."""
        self._file.close()

    def _set(self, path: bytes, mtime_ns: int) -> None:
        folder = syscalls.openat2(path, _FOLDER, dir_fd=self._root, resolve=syscalls.RESOLVE_IN_ROOT)
        try:
            os.utime(folder, ns=(mtime_ns, mtime_ns))
        finally:
            os.close(folder)
