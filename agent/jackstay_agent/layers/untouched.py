"""Which files of a whole tree are as they were in the tree that it began as a copy of.

Guarantees: a file counts as untouched only when the layer below gives it as it is: kind, mode, owner, size, time,
attributes, link target, device number, content, and which names are hard links of one another. Content is compared only
where what stat tells cannot decide: a file that was changed last before the copy was finished (by ``ctime``, which
nobody can set) and has all else alike has its content, too. Memory: a small record for each file with several names.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from jackstay_agent.layers import inside, xattrs
from jackstay_agent.layers.copy_mark import CopyMark

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PIECE = 1 << 20

File = tuple[int, int]  # device, inode: subvolumes in one tree are devices of their own


class Untouched:
    """Compares the tree of the folder *upper* with that of *lower*.

    *mark* says of *upper* how it was copied.
    """

    def __init__(self, upper: int, lower: int, mark: CopyMark) -> None:
        self._mark = mark
        self._device = os.fstat(upper).st_dev
        self._linked: dict[File, int | None] = {}  # to the inode below that has the same names; None when they differ
        self._survey(upper, lower)

    def is_so(self, name: bytes, status: os.stat_result, folder: int, below: int) -> bool:
        """Whether *name* in the open *folder*, no folder itself, is the same in *below*."""
        before = inside.status(name, below)
        if before is None:
            return False
        if status.st_nlink > 1 or before.st_nlink > 1:
            return self._linked.get((status.st_dev, status.st_ino)) == before.st_ino
        return self._same(name, status, before, folder, below)

    def _survey(self, upper: int, lower: int) -> None:
        """Look through both trees for files with several names, in either: each is untouched as a whole or not.

        One that is, is the copy of a file below, and has no name that is new or another file's.
        """
        unseen: dict[File, int] = {}  # names that a file must still be met under, to be untouched
        for folder, below in _folders(upper, lower):
            for name in map(os.fsencode, os.listdir(folder)):
                status, before = inside.status(name, folder), inside.status(name, below)
                if status is None or stat.S_ISDIR(status.st_mode):
                    continue
                if status.st_nlink == 1 and (before is None or before.st_nlink == 1):
                    continue
                own = (status.st_dev, status.st_ino)
                unseen[own] = unseen.get(own, status.st_nlink) - 1
                alike = before is not None and self._is_copy(status, before)
                if before is None or not alike or not self._same(name, status, before, folder, below):
                    self._linked[own] = None
                elif self._linked.setdefault(own, before.st_ino) != before.st_ino:
                    self._linked[own] = None  # what was two files is one
        for own, names in unseen.items():
            if names:
                self._linked[own] = None

    def _is_copy(self, status: os.stat_result, before: os.stat_result) -> bool:
        """Whether the file is the copy of the one below; of one with a single name it does not matter."""
        copy = (self._device, self._mark.copied.get(before.st_ino, before.st_ino))
        return before.st_nlink == 1 or (status.st_dev, status.st_ino) == copy

    def _same(self, name: bytes, status: os.stat_result, before: os.stat_result, folder: int, below: int) -> bool:
        if _look(status) != _look(before):
            return False
        if status.st_ctime_ns < self._mark.since and status.st_mtime_ns == before.st_mtime_ns:
            return True
        try:
            if stat.S_ISLNK(status.st_mode):
                return os.readlink(name, dir_fd=folder) == os.readlink(name, dir_fd=below)
            return not stat.S_ISREG(status.st_mode) or _same_file(name, folder, below)
        except OSError:
            return False  # a running container has put something else there: who reads it next will say so


def _folders(upper: int, lower: int) -> Iterator[tuple[int, int]]:
    """Every folder that both trees have, open."""
    waiting = [b"."]
    while waiting:
        path = waiting.pop()
        below = inside.open_folder(path, lower)
        if below is None:
            continue
        try:
            folder = inside.open_folder(path, upper)
            if folder is None:
                continue
            try:
                yield folder, below
                with os.scandir(folder) as entries:
                    waiting += [
                        path + b"/" + os.fsencode(entry.name)
                        for entry in entries
                        if entry.is_dir(follow_symlinks=False)
                    ]
            finally:
                os.close(folder)
        finally:
            os.close(below)


def _look(status: os.stat_result) -> tuple[int, ...]:
    """What decides without a look at the content. Of the time what a layer says of it: the second."""
    second = status.st_mtime_ns // 10**9
    return status.st_mode, status.st_uid, status.st_gid, status.st_size, second, status.st_rdev


def _same_file(name: bytes, folder: int, below: int) -> bool:
    one = os.open(name, _FILE, dir_fd=folder)
    try:
        other = os.open(name, _FILE, dir_fd=below)
        try:
            return xattrs.read(one) == xattrs.read(other) and _same_content(one, other)
        finally:
            os.close(other)
    finally:
        os.close(one)


def _same_content(one: int, other: int) -> bool:
    offset = 0
    while True:
        piece = os.pread(one, _PIECE, offset)
        if piece != os.pread(other, _PIECE, offset):
            return False
        if not piece:
            return True
        offset += len(piece)
