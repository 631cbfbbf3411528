"""Comparing two trees that must be the same: a layer as it lies on disk, and the same layer unpacked anew.

Guarantees that both are only read, that no link and no mount is followed, and that memory grows with the depth of the
trees, the longest folder, and the files with several names, not with how many files there are.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Any

from jackstay_agent.kernel import syscalls
from jackstay_agent.layers.names import shown
from jackstay_agent.layers.whiteouts import is_whiteout

TOLD = 8
"""Differences that are told of, at most."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOATIME | os.O_CLOEXEC
_INSIDE = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_XDEV
_PIECE = 1 << 20
_HOSTS_OWN = frozenset({"security.selinux"})
_NICE = 10


def compare_trees(_argument: Any, descriptors: list[int]) -> list[str]:
    """The job: how the folder of the first descriptor differs from that of the second, which is as it must be.

    One line a file, such as ``"etc/passwd": its content differs``, at most `TOLD`. The times of the top folder
    itself and of whiteouts do not count: no layer says them.
    """
    os.nice(_NICE)
    return _Comparison(*descriptors[:2]).run()


class _Comparison:
    def __init__(self, actual: int, wanted: int) -> None:
        self._roots = (actual, wanted)
        self._differences: list[str] = []
        self._times: list[str] = []  # of folders, which follow from what is missing or new in them
        self._linked: dict[tuple[int, int], tuple[int, int]] = {}

    def run(self) -> list[str]:
        """All of it."""
        self._status(b".", *(os.fstat(root) for root in self._roots))
        self._attributes(b".", *self._roots)
        waiting = [b"."]
        while waiting and len(self._differences) < TOLD:
            waiting += self._folder(waiting.pop())
        return [*self._differences, *self._times][:TOLD]

    def _folder(self, path: bytes) -> list[bytes]:
        """Compare what is in the folder *path*; the folders in it that both have."""
        actual = _descend(self._roots[0], path)
        try:
            wanted = _descend(self._roots[1], path)
            try:
                return self._entries(path, actual, wanted)
            finally:
                os.close(wanted)
        finally:
            os.close(actual)

    def _entries(self, path: bytes, actual: int, wanted: int) -> list[bytes]:
        have, must = ({os.fsencode(name) for name in os.listdir(folder)} for folder in (actual, wanted))
        folders = []
        for name in sorted(have | must):
            inner = name if path == b"." else path + b"/" + name
            if name not in must:
                self._tell(inner, "the layer has no such file")
            elif name not in have:
                self._tell(inner, "it is missing")
            elif self._entry(inner, name, actual, wanted):
                folders.append(inner)
            if len(self._differences) >= TOLD:
                break
        return folders

    def _entry(self, path: bytes, name: bytes, actual: int, wanted: int) -> bool:
        """Compare one; whether it is a folder in both."""
        have, must = (os.stat(name, dir_fd=folder, follow_symlinks=False) for folder in (actual, wanted))
        if not self._status(path, have, must):
            return False
        kind = stat.S_IFMT(must.st_mode)
        if kind == stat.S_IFLNK:
            if os.readlink(name, dir_fd=actual) != os.readlink(name, dir_fd=wanted):
                self._tell(path, "it links to something else")
        elif kind == stat.S_IFREG and not self._seen(path, have, must):
            self._file(path, name, actual, wanted)
        elif kind == stat.S_IFDIR:
            self._open_both(path, name, actual, wanted, _FOLDER | os.O_CLOEXEC)
        return kind == stat.S_IFDIR

    def _status(self, path: bytes, have: os.stat_result, must: os.stat_result) -> bool:
        """Compare what stat tells; whether the kinds are the same."""
        if stat.S_IFMT(have.st_mode) != stat.S_IFMT(must.st_mode):
            self._tell(path, "it is of another kind")
            return False
        if have.st_mode != must.st_mode:
            self._tell(path, f"its mode is {stat.S_IMODE(have.st_mode):04o}, not {stat.S_IMODE(must.st_mode):04o}")
        elif (have.st_uid, have.st_gid) != (must.st_uid, must.st_gid):
            self._tell(path, f"it belongs to {have.st_uid}:{have.st_gid}, not {must.st_uid}:{must.st_gid}")
        elif have.st_rdev != must.st_rdev:
            self._tell(path, "it is another device")
        elif have.st_size != must.st_size and stat.S_ISREG(must.st_mode):
            self._tell(path, f"it has {have.st_size} bytes, not {must.st_size}")
        elif have.st_mtime_ns != must.st_mtime_ns and path != b"." and not is_whiteout(must):
            line = f"{shown(path)}: its time of modification differs"
            if not stat.S_ISDIR(must.st_mode):
                self._differences.append(line)
            elif len(self._times) < TOLD:
                self._times.append(line)
        else:
            return True
        return stat.S_ISDIR(must.st_mode)

    def _seen(self, path: bytes, have: os.stat_result, must: os.stat_result) -> bool:
        """Whether the file was compared under another name; tells when the two sides do not share names alike."""
        if have.st_nlink == must.st_nlink == 1:
            return False
        mine, theirs = (have.st_dev, have.st_ino), (must.st_dev, must.st_ino)
        known = self._linked.setdefault(theirs, mine)
        if known != mine or have.st_nlink != must.st_nlink:
            self._tell(path, "its hard links differ")
        return known is not mine

    def _file(self, path: bytes, name: bytes, actual: int, wanted: int) -> None:
        self._open_both(path, name, actual, wanted, _FILE, content=True)

    def _open_both(
        self, path: bytes, name: bytes, actual: int, wanted: int, flags: int, *, content: bool = False
    ) -> None:
        mine = os.open(name, flags, dir_fd=actual)
        try:
            theirs = os.open(name, flags, dir_fd=wanted)
            try:
                if self._attributes(path, mine, theirs) and content and not self._same(path, mine, theirs):
                    self._tell(path, "its content differs")
            finally:
                os.close(theirs)
        finally:
            os.close(mine)

    def _attributes(self, path: bytes, actual: int, wanted: int) -> bool:
        if _attributes(actual) == _attributes(wanted):
            return True
        self._tell(path, "its extended attributes differ")
        return False

    def _same(self, path: bytes, actual: int, wanted: int) -> bool:
        try:
            while piece := os.read(wanted, _PIECE):
                if _exactly(actual, len(piece)) != piece:
                    return False
        except OSError as error:
            self._tell(path, f"it cannot be read: {error.strerror}")
        return True

    def _tell(self, path: bytes, what: str) -> None:
        name = "/" if path == b"." else path
        self._differences.append(f"{shown(name) if isinstance(name, bytes) else name}: {what}")


def _exactly(descriptor: int, size: int) -> bytes:
    pieces = []
    while size and (piece := os.read(descriptor, size)):
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _descend(root: int, path: bytes) -> int:
    """A descriptor of the folder *path*, also of one whose path is longer than the kernel takes at once."""
    try:
        return syscalls.openat2(path, _FOLDER, dir_fd=root, resolve=_INSIDE)
    except OSError as error:
        parts = path.split(b"/")
        if error.errno != errno.ENAMETOOLONG or len(parts) < 2:
            raise
    half = _descend(root, b"/".join(parts[: len(parts) // 2]))
    try:
        return _descend(half, b"/".join(parts[len(parts) // 2 :]))
    finally:
        os.close(half)


def _attributes(descriptor: int) -> dict[str, bytes]:
    try:
        names = os.listxattr(descriptor)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return {}
        raise
    return {name: os.getxattr(descriptor, name) for name in names if name not in _HOSTS_OWN}
