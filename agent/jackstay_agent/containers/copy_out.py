"""What cp reads in a container: the jobs that tell what a path is, and write it as a tar.

Guarantees: nothing but regular files is opened, nothing waits for a pipe or device, which are written as what they are;
files of ``/proc`` and the like, whose size nobody knows before, are read whole first, up to `MAX_TOLD`.
"""

from __future__ import annotations

import os
import stat
from typing import Any

import msgspec
from msgspec.structs import replace

from jackstay_agent.containers import container_paths
from jackstay_agent.containers.container_paths import ContainerPath
from jackstay_agent.containers.container_root import enter
from jackstay_agent.containers.export_tree import KINDS, Sink, Walk
from jackstay_agent.errors import Busy, Error, InvalidArgument, LimitExceeded, NotFound
from jackstay_agent.kernel import syscalls
from jackstay_agent.layers import xattrs
from jackstay_agent.layers.file_content import FileContent
from jackstay_oci.tar.entries import Entry, Kind
from jackstay_oci.tar.writer import TarWriter

STAT = "jackstay_agent.containers.copy_out:stat_path"
WRITE = "jackstay_agent.containers.copy_out:write_path"
MAX_TOLD = 16 << 20
"""Bytes of one file that the kernel makes up."""

_MADE_UP = frozenset(
    # proc, sysfs, cgroup, cgroup2, securityfs, debugfs, tracefs (linux/magic.h)
    {0x9FA0, 0x62656572, 0x27E0EB, 0x63677270, 0x73636673, 0x64626720, 0x74726163}
)
_READ = os.O_RDONLY | os.O_NONBLOCK


def stat_path(argument: Any, descriptors: list[int]) -> dict[str, Any] | None:
    """The job: what ``path`` is, None when nothing is there; ``follow`` a link at its end."""
    root = enter(argument, descriptors)
    try:
        return container_paths.stat_path(root, container_paths.parse(argument["path"]), follow=argument["follow"])
    except NotFound:
        return None


def write_path(argument: Any, descriptors: list[int]) -> None:
    """The job: write to the first descriptor what ``path`` is, in msgpack after four bytes of its length, and its tar.

    The entries begin with the path's last name; with "./" when its contents are meant. The first bytes come when the
    files are the child's own, so that they may be unmounted elsewhere.
    """
    out, *view = descriptors
    root = enter(argument, view)
    path = container_paths.parse(argument["path"])
    follow: bool = argument["follow"]
    found = msgspec.msgpack.encode(container_paths.stat_path(root, path, follow=follow))
    sink = Sink(out)
    sink.write(len(found).to_bytes(4, "big") + found)
    sink.flush()
    tar = TarWriter(sink, nanoseconds=True)
    opened = container_paths.open_path(root, path, os.O_PATH, follow=follow)
    kind = stat.S_IFMT(os.fstat(opened).st_mode)
    if kind == stat.S_IFDIR:
        top = container_paths.open_path(root, path, os.O_RDONLY | os.O_DIRECTORY, follow=follow)
        _Copied(top, tar, sink.flush, b"" if path.contents else path.name + b"/").run()
    else:
        _write_one(root, opened, path, tar, follow)
        tar.close()
    sink.flush()


class _Copied(Walk):
    def content(self, entry: Entry, name: bytes, folder: int) -> Entry | None:
        """As `Walk.content`, but for files that the kernel makes up."""
        if syscalls.filesystem_of(folder) not in _MADE_UP:
            return super().content(entry, name, folder)
        try:
            descriptor = os.open(name, _READ | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                return _write_made_up(self.tar, entry, descriptor)
            finally:
                os.close(descriptor)
        except (OSError, LimitExceeded):
            return None  # many can only be written to, or only at times; one is the host's memory


def _write_one(root: int, opened: int, path: ContainerPath, tar: TarWriter, follow: bool) -> None:
    status = os.fstat(opened)
    kind = KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        raise InvalidArgument(f"{container_paths.shown(path.clean)} is a socket, which no tar can hold")
    entry = Entry(
        name=path.name,
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime_ns=status.st_mtime_ns,
        devmajor=os.major(status.st_rdev),
        devminor=os.minor(status.st_rdev),
    )
    if kind is Kind.SYMLINK:
        entry = replace(entry, linkname=os.readlink(b"", dir_fd=opened))
    if kind is not Kind.FILE:
        tar.add(entry)
        return
    descriptor = container_paths.open_path(root, path, _READ, follow=follow)
    try:
        if not os.path.samestat(status, now := os.fstat(descriptor)):
            raise Busy(f"{container_paths.shown(path.clean)} became another file", hint="pause the container first")
        if syscalls.filesystem_of(descriptor) in _MADE_UP:
            try:
                _write_made_up(tar, entry, descriptor)
            except OSError as error:
                told = f"{container_paths.shown(path.clean)} cannot be read: {error.strerror}"
                raise Error(told) from error
            return
        entry = replace(entry, size=now.st_size, xattrs=xattrs.read(descriptor))
        tar.add(entry, FileContent(descriptor, entry, now.st_size))
    finally:
        os.close(descriptor)


def _write_made_up(tar: TarWriter, entry: Entry, descriptor: int) -> Entry | None:
    """Write a file whose content the kernel makes up when it is read. Raises `OSError` before it is begun."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return None
    content = bytearray()
    while piece := os.read(descriptor, 1 << 16):
        content += piece
        if len(content) > MAX_TOLD:
            raise LimitExceeded(f"{container_paths.shown(entry.name)} is larger than {MAX_TOLD} bytes")
    written = replace(entry, size=len(content))
    tar.add(written, bytes(content))
    return written
