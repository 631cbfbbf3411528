"""What a snapshot changes over its parent, as a layer: the upper folder of an overlay, or a whole tree, to a tar.

Guarantees: the same tree gives the same bytes (names sorted, hard links by first name, no clock); applied on the same
parent the layer gives the same tree, whiteouts being explicit ones, as the image specification prefers. Times are cut
to the second, as Docker's and BuildKit's are: a filesystem or an engine that keeps no fractions would otherwise make
another layer of the same tree. A folder counts as changed for its mode, owner or attributes, not for its time alone.
Sockets are left out. The files may belong to a container that runs: each name is resolved below the folder without
following links, and nothing is executed or interpreted.

The same changes give the same bytes in both forms, but for what one of them cannot know: an overlay writes each file
that was opened for writing, changed or not, and each one of a folder that was removed and made again; a whole tree
writes what differs. An overlay parts the hard links of a file that was changed; a whole tree keeps them. Leaves to its
caller: durability of what is written; to `untouched`: which files of a whole tree differ.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Any

from msgspec.structs import replace

from jackstay_agent.errors import Unsupported
from jackstay_agent.kernel import syscalls
from jackstay_agent.layers import copy_mark, names, xattrs
from jackstay_agent.layers.copy_mark import CopyMark
from jackstay_agent.layers.file_content import FileContent, changed
from jackstay_agent.layers.lower import mount_lower
from jackstay_agent.layers.tree import like
from jackstay_agent.layers.untouched import File, Untouched
from jackstay_agent.layers.whiteouts import is_whiteout
from jackstay_oci.digest import Digest, hasher
from jackstay_oci.tar.entries import Entry, Kind
from jackstay_oci.tar.window import write_all
from jackstay_oci.tar.writer import TarWriter

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # not to wait on what has become a FIFO
_INSIDE = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_BUFFER = 1 << 20
_LONGEST = 4090  # PATH_MAX without its NUL, a folder's slash and a whiteout's prefix
_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
}


def diff_layer(argument: Any, descriptors: list[int]) -> list[Any]:
    """The job: write the changes of the upper folder (first descriptor) to the second descriptor.

    The argument is the stack below, as `lower.mount_lower` takes it; ``lower`` is empty when there is none. With
    ``whole`` the upper folder is a whole tree, begun as a copy of the one below. The child's root becomes that stack,
    read-only. The result is the digest, bytes, and whether there were no changes.
    """
    upper, out = descriptors
    mark = copy_mark.read(upper) if argument["whole"] else None
    # A container that runs could put a device in the place of a file between the look at it and the opening.
    upper = syscalls.without_devices(upper)
    if argument["lower"]:
        lower: int | None = mount_lower(argument["folder"], argument["target"], argument["lower"])
        root = lower
    else:
        lower, root = None, os.open(argument["target"], _FOLDER | os.O_CLOEXEC)
    assert root is not None
    syscalls.enter_root(root)
    return list(diff(upper, lower, out, mark))


def diff(upper: int, lower: int | None, out: int, mark: CopyMark | None = None) -> tuple[str, int, bool]:
    """Write the changes of the folder *upper* over *lower* (None: nothing) to *out*: digest, bytes, whether empty.

    With *mark*, *upper* is a whole tree, begun as a copy of *lower*. Raises `Unsupported` for what no layer
    can say, `Busy` when a file changed while it was read.
    """
    sink = _Sink(out)
    untouched = Untouched(upper, lower, mark) if mark is not None and lower is not None else None
    differ = _Differ(upper, lower, TarWriter(sink), mark is not None, untouched)
    differ.run()
    sink.flush()
    return str(Digest.finish(sink.hash)), sink.size, differ.empty


class _Differ:
    def __init__(self, upper: int, lower: int | None, tar: TarWriter, whole: bool, untouched: Untouched | None) -> None:
        self._upper = upper
        self._lower = lower
        self._tar = tar
        self._whole = whole
        self._untouched = untouched
        self._first: dict[File, Entry] = {}  # to the entry that has its content
        self._pending: list[Entry | None] = []  # entries of the folders on the way down that are not written yet
        self.empty = True

    def run(self) -> None:
        # Paths, not descriptors, so that depth costs none. Last is next: the order is that of a walk down.
        waiting = [(b"", self._whole)]
        while waiting:
            path, hidden = waiting.pop()
            try:
                folder = syscalls.openat2(path or b".", _FOLDER, dir_fd=self._upper, resolve=_INSIDE)
            except OSError as error:
                if error.errno in _ABSENT:
                    continue  # a running container took it away
                raise
            try:
                below = self._open_below(path)
                try:
                    hidden = self._enter(path, folder, below, hidden)
                    waiting += [(inner, hidden) for inner in reversed(self._contents(path, folder, below, hidden))]
                finally:
                    if below is not None:
                        os.close(below)
            finally:
                os.close(folder)
        self._tar.close()

    def _open_below(self, path: bytes) -> int | None:
        if self._lower is None:
            return None
        try:
            return syscalls.openat2(path or b".", _FOLDER, dir_fd=self._lower, resolve=_INSIDE)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise

    def _enter(self, path: bytes, folder: int, below: int | None, hidden: bool) -> bool:
        """Write the folder's own entry, or keep it for when something in it is written; whether it hides all below."""
        if not self._whole and (attribute := xattrs.steering(folder)) is not None:
            raise Unsupported(
                f"folder {names.shown(path)} has {attribute.decode()}: its content lies elsewhere",
                hint="the snapshot was mounted by something else with redirect_dir or metacopy on",
            )
        entry = like(folder, path + b"/" if path else b"./")
        depth = path.count(b"/") + 1 if path else 0
        del self._pending[depth:]
        self._pending.append(entry if path else None)
        before = like(below, entry.name) if below is not None else None
        if before is None and not path:
            before = Entry(name=entry.name, kind=Kind.DIRECTORY, mode=0o755)  # the root of an empty tree
        if before is None or _dress(before) != _dress(entry):
            if path:
                self._write_pending()
            else:
                self._write(entry)
        return hidden or xattrs.is_opaque(folder)  # of a whole tree nothing below shows that is not in it

    def _contents(self, path: bytes, folder: int, below: int | None, hidden: bool) -> list[bytes]:
        """Write what is in the folder, but its folders: their paths, sorted."""
        prefix = path + b"/" if path else b""
        present = {os.fsencode(name) for name in os.listdir(folder)}
        gone = {os.fsencode(name) for name in os.listdir(below)} - present if hidden and below is not None else set()
        folders = []
        for name in sorted(present | gone):
            if len(prefix) + len(name) > _LONGEST:
                raise Unsupported(
                    f"{names.shown(prefix + name)} cannot be in a layer: its path has more than {_LONGEST} bytes",
                    hint="move or remove it in the container",
                )
            if name in gone:
                self._hide(prefix, name)
                continue
            if name.startswith(names.PREFIX):
                raise Unsupported(
                    f"{names.shown(prefix + name)} cannot be in a layer: its name would read as a whiteout",
                    hint="rename or remove it in the container",
                )
            try:
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    folders.append(prefix + name)
                elif is_whiteout(status) and self._whole:
                    raise Unsupported(
                        f"{names.shown(prefix + name)} cannot be in a layer: a character device 0:0 is a whiteout",
                        hint="remove it in the container",
                    )
                elif is_whiteout(status) or stat.S_ISSOCK(status.st_mode):
                    if below is not None and _exists(name, below):
                        self._hide(prefix, name)
                elif not self._is_untouched(name, folder, status, below):
                    self._file(prefix + name, name, folder, status)
            except FileNotFoundError:
                continue  # a running container took it away
        return folders

    def _is_untouched(self, name: bytes, folder: int, status: os.stat_result, below: int | None) -> bool:
        return self._untouched is not None and below is not None and self._untouched.is_so(name, status, folder, below)

    def _file(self, path: bytes, name: bytes, folder: int, status: os.stat_result) -> None:
        entry = Entry(
            name=path,
            kind=_KINDS[stat.S_IFMT(status.st_mode)],
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            mtime_ns=status.st_mtime_ns,
            devmajor=os.major(status.st_rdev),
            devminor=os.minor(status.st_rdev),
        )
        linked = status.st_nlink > 1
        file = (status.st_dev, status.st_ino)
        if linked and (first := self._first.get(file)):
            # With the attributes: Docker dresses the file anew by a link's entry, and chown takes capabilities away.
            self._write_below(replace(entry, kind=Kind.HARDLINK, linkname=first.name, xattrs=first.xattrs))
            return
        if entry.kind is Kind.SYMLINK:
            entry = replace(entry, linkname=os.readlink(name, dir_fd=folder))
        if entry.kind is Kind.FILE:
            entry = self._content(entry, name, folder)
        else:
            self._write_below(entry)
        if linked:
            self._first[file] = entry

    def _content(self, entry: Entry, name: bytes, folder: int) -> Entry:
        """Write a regular file; its entry as written."""
        try:
            descriptor = os.open(name, _FILE, dir_fd=folder)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO, errno.EACCES):
                raise changed(entry) from error
            raise
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise changed(entry)
            if not self._whole and (attribute := xattrs.steering(descriptor)) is not None:
                raise Unsupported(
                    f"file {names.shown(entry.name)} has {attribute.decode()}: its content lies elsewhere"
                )
            written = replace(entry, size=status.st_size, xattrs=xattrs.read(descriptor))
            self._write_below(written, FileContent(descriptor, entry, status.st_size))
            return written
        finally:
            os.close(descriptor)

    def _hide(self, prefix: bytes, name: bytes) -> None:
        self._write_below(Entry(name=prefix + names.whiteout_of(name), mode=0))

    def _write_below(self, entry: Entry, content: FileContent | None = None) -> None:
        self._write_pending()
        self._write(entry, content)

    def _write_pending(self) -> None:
        for depth, entry in enumerate(self._pending):
            if entry is not None:
                self._write(entry)
                self._pending[depth] = None

    def _write(self, entry: Entry, content: FileContent | None = None) -> None:
        self._tar.add(entry, content)
        self.empty = False


class _Sink:
    """Gathers, hashes and writes."""

    def __init__(self, out: int) -> None:
        self._out = out
        self._held = bytearray()
        self.hash = hasher()
        self.size = 0

    def write(self, data: bytes, /) -> None:
        self._held += data
        if len(self._held) >= _BUFFER:
            self.flush()

    def flush(self) -> None:
        self.hash.update(self._held)
        write_all(self._out, bytes(self._held))
        self.size += len(self._held)
        self._held.clear()


def _dress(entry: Entry) -> tuple[int, int, int, dict[bytes, bytes]]:
    return entry.mode, entry.uid, entry.gid, entry.xattrs


def _exists(name: bytes, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
