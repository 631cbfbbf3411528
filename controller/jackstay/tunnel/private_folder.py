"""A folder for a tunnel's socket that only this user may enter, and that nobody's death leaves behind for long.

Guarantees mode 0700, a path short enough for a socket in it, and a lock on the folder for as long as it is in use: the
kernel ends the lock with the process, so the next tunnel of the same user tells an abandoned folder and removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator

MAX_PATH = 100
"""Bytes of a socket's path that every system takes (``sun_path`` has 104 on macOS, 108 on Linux)."""

PREFIX = "jackstay-"
NEW = 60.0
"""Seconds in which a folder may be without its lock, since making and locking it are two steps."""


class PrivateFolder:
    """A folder in use. Made by `make`; all calls block for a few system calls."""

    def __init__(self, path: str, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def make(cls) -> PrivateFolder:
        """Make one, and remove what dead processes of this user have left. Raises `OSError`."""
        base = _base()
        _remove_abandoned(base)
        path = tempfile.mkdtemp(prefix=PREFIX, dir=base)
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
        return cls(path, lock)

    def remove(self) -> None:
        """Remove it with what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _base() -> str:
    for base in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):  # noqa: S108  # mkdtemp is safe
        if len(os.fsencode(base)) + len(f"/{PREFIX}12345678/agent") <= MAX_PATH and os.access(base, os.W_OK | os.X_OK):
            return base
    raise OSError("there is no writable folder for a socket; set XDG_RUNTIME_DIR or TMPDIR to a short path")


def _remove_abandoned(base: str) -> None:
    for path in _old_ones(base):
        with contextlib.suppress(OSError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # `BlockingIOError` when its process lives
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def _old_ones(base: str) -> Iterator[str]:
    with os.scandir(base) as entries:
        for entry in entries:
            if not entry.name.startswith(PREFIX) or len(entry.name) != len(PREFIX) + 8:
                continue
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if (
                    stat.S_ISDIR(status.st_mode)
                    and stat.S_IMODE(status.st_mode) == 0o700
                    and status.st_uid == os.geteuid()
                    and time.time() - status.st_mtime > NEW
                ):
                    yield entry.path
