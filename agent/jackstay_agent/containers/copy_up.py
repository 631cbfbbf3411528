"""Copy-up: an empty volume that is mounted over a folder of the image gets that folder's files first, as docker does.

The work is a job's. Guarantees: both trees are walked by descriptors that follow no link, the image's folder is found
by the kernel inside the root (openat2 RESOLVE_IN_ROOT), so that no link in an image leads the copy out of it; owner,
mode, times and extended attributes are kept; the copy is on disk when the job returns. A volume that has files is left
alone; a copy that was cut, even with the power, is not taken for one that was made: a mark is on disk before the first
file is, until the last one is.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from typing import Any

from jackstay_agent import faults
from jackstay_agent.kernel import syscalls
from jackstay_agent.kernel.jobs import Jobs

JOB = "jackstay_agent.containers.copy_up:fill"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE = 1 << 30


async def copy_up(jobs: Jobs, rootfs: str, target: str, volume: str) -> None:
    """Fill the folder *volume*, when it is empty, with the files of *target* in the mounted *rootfs*."""
    await jobs.run(JOB, [rootfs, target, volume])


def fill(argument: Any, _descriptors: list[int]) -> bool:
    """The job behind `copy_up`: ``[rootfs, target, volume]``; whether anything was copied."""
    rootfs, target, volume = argument
    mark = f"{volume}.copying"
    into = os.open(volume, _FOLDER)
    try:
        fcntl.flock(into, fcntl.LOCK_EX)  # two containers with the same new volume may start at once
        if os.path.lexists(mark):
            _empty(into)
        elif os.listdir(into):
            return False
        source = _find(rootfs, target)
        if source is None:
            _unmark(mark)
            return False
        try:
            _mark(mark)
            _copy_folder(source, into, _Links(into), "")
            _copy_status(source, into)
            syscalls.syncfs(into)
            faults.point("containers.copy_up.synced")
            _unmark(mark)
        finally:
            os.close(source)
        return True
    finally:
        os.close(into)


def _find(rootfs: str, target: str) -> int | None:
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return syscalls.openat2(
            target.lstrip("/") or ".",
            os.O_RDONLY | os.O_DIRECTORY,
            dir_fd=root,
            resolve=syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS,
        )
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise
    finally:
        os.close(root)


class _Links:
    """The files with several names that were copied already, by their identity in the image."""

    def __init__(self, into: int) -> None:
        self._into = into
        self._paths: dict[tuple[int, int], tuple[str, str]] = {}  # folder in the copy, name

    def remember(self, status: os.stat_result, path: str, name: str) -> None:
        """The file of *status* was copied to *name* in the folder *path*."""
        if status.st_nlink > 1:
            self._paths[status.st_dev, status.st_ino] = path, name

    def link(self, status: os.stat_result, into: int, name: str) -> bool:
        """Make *name* in the folder *into* a further name of the file of *status*; False when it was not copied yet."""
        known = self._paths.get((status.st_dev, status.st_ino))
        if known is None:
            return False
        # A container that mounts the volume already could have put a link in the place of a folder.
        resolve = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS
        folder = syscalls.openat2(known[0] or ".", os.O_PATH | os.O_DIRECTORY, dir_fd=self._into, resolve=resolve)
        try:
            os.link(known[1], name, src_dir_fd=folder, dst_dir_fd=into, follow_symlinks=False)
        finally:
            os.close(folder)
        return True


def _copy_folder(source: int, into: int, links: _Links, path: str) -> None:
    """Copy what is in *source* into the folder *into*, which is *path* in the copy."""
    for name in sorted(os.listdir(source)):
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR:
            os.mkdir(name, 0o700, dir_fd=into)
            below, copy = os.open(name, _FOLDER, dir_fd=source), os.open(name, _FOLDER, dir_fd=into)
            try:
                _copy_folder(below, copy, links, os.path.join(path, name))
                _copy_status(below, copy)
            finally:
                os.close(below)
                os.close(copy)
        elif kind == stat.S_IFREG:
            if not links.link(status, into, name):
                _copy_file(source, into, name)
                links.remember(status, path, name)
        elif kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=into)
            os.chown(name, status.st_uid, status.st_gid, dir_fd=into, follow_symlinks=False)
            os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=into, follow_symlinks=False)
        elif kind == stat.S_IFIFO:
            os.mkfifo(name, 0o600, dir_fd=into)
            _dress_pipe(status, into, name)
        # Device nodes and sockets of an image have no business in a volume.


def _copy_file(source: int, into: int, name: str) -> None:
    reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
    try:
        writing = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=into)
        try:
            while os.sendfile(writing, reading, None, _PIECE):
                pass
            _copy_status(reading, writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _dress_pipe(status: os.stat_result, into: int, name: str) -> None:
    """Owner and mode of the pipe *name*, by a descriptor: chmod(2) would follow a link that took its place."""
    made = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=into)
    try:
        if stat.S_ISFIFO(os.fstat(made).st_mode):
            os.chown(f"/proc/self/fd/{made}", status.st_uid, status.st_gid)
            os.chmod(f"/proc/self/fd/{made}", stat.S_IMODE(status.st_mode))
    finally:
        os.close(made)


def _copy_status(source: int, into: int) -> None:
    status = os.fstat(source)
    os.fchown(into, status.st_uid, status.st_gid)
    os.fchmod(into, stat.S_IMODE(status.st_mode))
    for name in os.listxattr(source):
        if name.startswith(("user.", "system.posix_acl_")) or name == "security.capability":
            with contextlib.suppress(OSError):  # a filesystem that has none keeps none
                os.setxattr(into, name, os.getxattr(source, name))
    os.utime(into, ns=(status.st_atime_ns, status.st_mtime_ns))


def _empty(folder: int) -> None:
    for entry in os.listdir(folder):
        if stat.S_ISDIR(os.stat(entry, dir_fd=folder, follow_symlinks=False).st_mode):
            shutil.rmtree(entry, dir_fd=folder)
        else:
            os.unlink(entry, dir_fd=folder)


def _mark(mark: str) -> None:
    file = os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.fsync(file)
        faults.point("containers.copy_up.marked")
    finally:
        os.close(file)
    folder = os.open(os.path.dirname(mark), _FOLDER)
    try:
        os.fsync(folder)
        faults.point("containers.copy_up.mark_named")
    finally:
        os.close(folder)


def _unmark(mark: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(mark)
