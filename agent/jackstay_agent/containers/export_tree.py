"""A tree as a tar, written by a child of the spawner whose root it is: the job behind `exporting`.

Guarantees: nothing outside the tree can be read, no device in it is opened, nothing in it is executed or interpreted;
the same tree gives the same bytes (names sorted, hard links by first name, PAX with nanoseconds). Sockets are left out,
as tar has none. The tree may belong to a container that runs: what vanishes on the way is left out, what grows is cut
at the size that its header says. Memory grows with depth and with files of several names alone.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from jackstay_agent.kernel import syscalls
from jackstay_agent.layers import xattrs
from jackstay_agent.layers.file_content import FileContent
from jackstay_agent.layers.tree import like
from jackstay_oci.tar.entries import Entry, Kind
from jackstay_oci.tar.window import write_all
from jackstay_oci.tar.writer import TarWriter

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # not to wait on what has become a FIFO
_INSIDE = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EACCES, errno.ESTALE)
_BUFFER = 1 << 18
KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
}


def write_tree(_argument: Any, descriptors: list[int]) -> None:
    """The job: write the tree of the folder (first descriptor), which becomes the root, to the second descriptor.

    A third one is the user namespace whose ids are told.
    The first bytes come when the tree is the child's own, so that it may be unmounted elsewhere.
    """
    folder, out, *users = descriptors
    syscalls.enter_root(folder)
    for namespace in users:
        syscalls.setns(namespace, syscalls.CLONE_NEWUSER)
    os.close(folder)  # it belongs to the mounts that were left
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    sink = Sink(out)
    Walk(root, TarWriter(sink, nanoseconds=True), sink.flush).run()
    sink.flush()


class Walk:
    """Writes the tree below the folder *root* to *tar*; *flush* is called when the root's own entry is written.

    The root itself is called *name*, which ends with a slash; all other names begin with it. Without one it is "./".
    """

    def __init__(self, root: int, tar: TarWriter, flush: Callable[[], None], name: bytes = b"") -> None:
        self._root = root
        self.tar = tar
        self._flush = flush
        self._name = name
        self._first: dict[tuple[int, int], Entry] = {}  # of files with several names, the entry that has the content

    def run(self) -> None:
        """Write it all. Raises `Busy` when a file became shorter while it was read."""
        self.tar.add(like(self._root, self._name or b"./"))
        self._flush()
        # Paths, not descriptors, so that depth costs none. Last is next: the order is that of a walk down.
        waiting = self._folder(b"")
        while waiting:
            waiting += self._folder(waiting.pop())
        self.tar.close()

    def _folder(self, path: bytes) -> list[bytes]:
        """Write the folder *path* and what is in it but its folders: their paths, the first one last."""
        try:
            folder = syscalls.openat2(path or b".", _FOLDER, dir_fd=self._root, resolve=_INSIDE)
        except OSError as error:
            if error.errno in _GONE:
                return []
            raise
        try:
            if path:
                self.tar.add(like(folder, self._name + path + b"/"))
            prefix = path + b"/" if path else b""
            folders = []
            for name in sorted(os.fsencode(name) for name in os.listdir(folder)):
                try:
                    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        folders.append(prefix + name)
                    elif not stat.S_ISSOCK(status.st_mode):
                        self._file(self._name + prefix + name, name, folder, status)
                except FileNotFoundError:
                    continue
            return folders[::-1]
        finally:
            os.close(folder)

    def _file(self, path: bytes, name: bytes, folder: int, status: os.stat_result) -> None:
        entry = Entry(
            name=path,
            kind=KINDS[stat.S_IFMT(status.st_mode)],
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            mtime_ns=status.st_mtime_ns,
            devmajor=os.major(status.st_rdev),
            devminor=os.minor(status.st_rdev),
        )
        file = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and (first := self._first.get(file)):
            # With the attributes: Docker dresses the file anew by a link's entry, and chown takes capabilities away.
            self.tar.add(replace(entry, kind=Kind.HARDLINK, linkname=first.name, xattrs=first.xattrs))
            return
        if entry.kind is Kind.FILE:
            written = self.content(entry, name, folder)
            if written is None:
                return
            entry = written
        else:
            if entry.kind is Kind.SYMLINK:
                entry = replace(entry, linkname=os.readlink(name, dir_fd=folder))
            self.tar.add(entry)
        if status.st_nlink > 1:
            self._first[file] = entry

    def content(self, entry: Entry, name: bytes, folder: int) -> Entry | None:
        """Write a regular file; its entry as written, None when it is gone or has become something else."""
        try:
            descriptor = os.open(name, _FILE, dir_fd=folder)
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return None
            written = replace(entry, size=status.st_size, xattrs=xattrs.read(descriptor))
            self.tar.add(written, FileContent(descriptor, entry, status.st_size))
            return written
        finally:
            os.close(descriptor)


class Sink:
    """Gathers what is written, and writes it to the descriptor *out* in larger pieces."""

    def __init__(self, out: int) -> None:
        self._out = out
        self._held = bytearray()

    def write(self, data: bytes, /) -> None:
        """Take *data*."""
        self._held += data
        if len(self._held) >= _BUFFER:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        write_all(self._out, bytes(self._held))
        self._held.clear()
