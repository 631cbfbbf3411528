"""Copying a whole tree, for drivers whose filesystem cannot do it by itself.

Guarantees: the copy has the same names, kinds, contents, holes, owners, modes, times, hard links, and those attributes
that an image may have; no link of the source is followed; content is shared with the source where the filesystem can
(FICLONE), else copied in the kernel. Its mark is written last. Sockets are left out, as in
layers. Memory is that of one folder's names on each level, a name for each file of which not all links are copied yet,
and two numbers for each that has several.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from typing import Any

from jackstay_agent import faults
from jackstay_agent.kernel import syscalls
from jackstay_agent.layers import copy_mark, xattrs

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_INSIDE = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_XDEV
_FICLONE = 0x40049409
_PIECE = 1 << 30
_CANNOT = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS)


def copy_tree(durable: Any, descriptors: list[int]) -> None:
    """The job: copy what the first folder has into the second one, which is empty, and dress that like the first.

    The mark is written beside the second one. All of it is on disk in the end if *durable* says so.
    """
    os.umask(0)
    source, target = descriptors
    copier = _Copier(source, target)
    copier.run()
    beside = os.open("..", _FOLDER | os.O_CLOEXEC, dir_fd=target)
    copy_mark.write(beside, copier.copied)
    os.close(beside)
    faults.point("layers.copy.written")
    if durable:
        syscalls.syncfs(target)
        faults.point("layers.copy.synced")


class _Copier:
    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target
        self._clones = True
        self.copied: list[tuple[int, int]] = []  # inodes of files with several names, in the source and the target
        self._links: dict[int, tuple[bytes, int]] = {}  # inode: where its copy is, and how many names it still gets

    def run(self) -> None:
        # Paths, not descriptors, so that depth costs none. A folder is dressed when all in it is made.
        waiting = [(b".", False)]
        while waiting:
            path, done = waiting.pop()
            source = syscalls.openat2(path, _FOLDER, dir_fd=self._source, resolve=_INSIDE)
            try:
                target = syscalls.openat2(path, _FOLDER, dir_fd=self._target, resolve=_INSIDE)
                try:
                    if done:
                        _dress(source, target, os.fstat(source))
                    else:
                        waiting.append((path, True))
                        waiting += [(inner, False) for inner in self._contents(path, source, target)]
                finally:
                    os.close(target)
            finally:
                os.close(source)

    def _contents(self, path: bytes, source: int, target: int) -> list[bytes]:
        """Copy what is in the folder, but what is in its folders; the paths of those."""
        folders = []
        for name in map(os.fsencode, os.listdir(source)):
            status = os.stat(name, dir_fd=source, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                os.mkdir(name, 0o700, dir_fd=target)
                folders.append(path + b"/" + name)
            elif not stat.S_ISSOCK(status.st_mode) and not self._link(name, status, target):
                if stat.S_ISREG(status.st_mode):
                    self._file(name, status, source, target)
                else:
                    _node(name, status, source, target)
                if status.st_nlink > 1:
                    self._links[status.st_ino] = (path + b"/" + name, status.st_nlink - 1)
                    copied = os.stat(name, dir_fd=target, follow_symlinks=False)
                    self.copied.append((status.st_ino, copied.st_ino))
        return folders

    def _link(self, name: bytes, status: os.stat_result, target: int) -> bool:
        """Make *name* a link to the copy that there is already, if any."""
        known = self._links.get(status.st_ino) if status.st_nlink > 1 else None
        if known is None:
            return False
        first, left = known
        folder, _, base = first.rpartition(b"/")
        above = syscalls.openat2(folder, os.O_PATH | os.O_DIRECTORY, dir_fd=self._target, resolve=_INSIDE)
        try:
            os.link(base, name, src_dir_fd=above, dst_dir_fd=target, follow_symlinks=False)
        finally:
            os.close(above)
        if left > 1:
            self._links[status.st_ino] = (first, left - 1)
        else:
            del self._links[status.st_ino]
        return True

    def _file(self, name: bytes, status: os.stat_result, source: int, target: int) -> None:
        reading = os.open(name, _READ, dir_fd=source)
        try:
            writing = os.open(name, _NEW, 0o600, dir_fd=target)
            try:
                if status.st_size and not self._clone(reading, writing):
                    _copy(reading, writing, status.st_size)
                _dress(reading, writing, status)
            finally:
                os.close(writing)
        finally:
            os.close(reading)

    def _clone(self, reading: int, writing: int) -> bool:
        if self._clones:
            try:
                fcntl.ioctl(writing, _FICLONE, reading)
            except OSError as error:
                if error.errno not in _CANNOT:
                    raise
                self._clones = False  # it is one filesystem: no other file can be cloned either
        return self._clones


def _copy(reading: int, writing: int, size: int) -> None:
    """Copy the content, leaving holes out."""
    os.ftruncate(writing, size)
    at = 0
    while at < size:
        try:
            at = os.lseek(reading, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a hole until the end
                return
            raise
        end = os.lseek(reading, at, os.SEEK_HOLE)
        while at < end:
            copied = os.copy_file_range(reading, writing, min(end - at, _PIECE), at, at)
            if not copied:
                return
            at += copied


def _node(name: bytes, status: os.stat_result, source: int, target: int) -> None:
    """A symlink, device or FIFO."""
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    else:
        os.mknod(name, status.st_mode, status.st_rdev, dir_fd=target)
    os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=target)  # after chown, which takes set-user-id away
    os.utime(name, ns=(status.st_mtime_ns, status.st_mtime_ns), dir_fd=target, follow_symlinks=False)


def _dress(source: int, target: int, status: os.stat_result) -> None:
    os.fchown(target, status.st_uid, status.st_gid)
    xattrs.write(target, xattrs.read(source))  # after chown, which takes capabilities away
    os.fchmod(target, stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
