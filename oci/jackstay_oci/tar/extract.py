"""Unpacks a tar below a folder, as Docker's cp does on either side: what is there is merged with, not replaced.

Guarantees: names with ``..`` that lead out are refused, the last part of a name is never followed, and how the parts
before it are is the caller's *reach* to say; an existing folder stays a folder and an existing file never becomes one;
folders get their mode and time last, so that one that is read-only can be filled. Memory grows with the folders.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable

from msgspec.structs import replace

from jackstay_oci.errors import DiskFull, Error, InvalidArchive, InvalidArgument
from jackstay_oci.tar.entries import Entry, Kind
from jackstay_oci.tar.reader import TarReader

Owner = Callable[[Entry], "tuple[int, int] | None"]
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_IN_PLACE = os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NODES = {Kind.CHARACTER: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK, Kind.FIFO: stat.S_IFIFO}
_TRIES = 100  # with somebody who makes the file again each time it was taken away


class Extractor:
    """Unpacks below a folder.

    Args:
        reach: gives a new descriptor of a folder by its path below the target (``b"."``: the target itself). Raises
            `OSError`.
        owner: uid and gid for an entry, None to leave it to whom it belongs.
        dress: sets an open file's attributes.
        rebase: the first part of names, and what it is to be called: names with another one are refused, so that who
            makes the archive adds nothing beside what was asked for. A first part of ``b"."`` stands before every name.
    """

    def __init__(
        self,
        reach: Callable[[bytes], int],
        *,
        owner: Owner = lambda _entry: None,
        dress: Callable[[int, Entry], None] = lambda _file, _entry: None,
        rebase: tuple[bytes, bytes] | None = None,
    ) -> None:
        self._reach = reach
        self._owner = owner
        self._dress = dress
        self._rebase = rebase
        self._folders: list[tuple[bytes, Entry]] = []  # to be dressed
        self._last: tuple[bytes, int] | None = None  # the folder of the entry before, open

    def extract(self, reader: TarReader) -> None:
        """Unpack every entry.

        Raises:
            InvalidArchive: a name leads out or is not what was asked for, or a hard link leads nowhere.
            InvalidArgument: a file is where a folder shall be, or the other way round.
            DiskFull, Error: the file that it names cannot be made.
        """
        try:
            for entry in reader:
                with _naming(entry.name):
                    self._put(reader, entry)
            self._forget()
            for path, entry in reversed(self._folders):
                with _naming(entry.name):
                    self._finish(path, entry)
        finally:
            self._forget()

    def _put(self, reader: TarReader, entry: Entry) -> None:
        path = self._path(entry.name)
        if not path:
            if entry.kind is not Kind.DIRECTORY:
                raise InvalidArchive(f"{_shown(entry.name)} is no name for a {entry.kind.value}")
            return  # the target stays as it is
        above, _, base = path.rpartition(b"/")
        folder = self._folder(above)
        if entry.kind is Kind.FILE:
            self._file(reader, folder, base, entry)
        elif entry.kind is Kind.DIRECTORY:
            if self._make_room(folder, base, entry):
                os.mkdir(base, 0o700, dir_fd=folder)
            self._folders.append((path, replace(entry, xattrs=dict(entry.xattrs))))
        elif entry.kind is Kind.HARDLINK:
            self._link(folder, base, entry)
        else:
            self._node(folder, base, entry)

    def _path(self, name: bytes) -> bytes:
        """Where *name* belongs, b"" for the target itself."""
        parts: list[bytes] = []
        for part in name.split(b"/"):
            if part == b"..":
                if not parts:
                    raise InvalidArchive(f"{_shown(name)} leads out of the folder that the archive is unpacked in")
                parts.pop()
            elif part not in (b"", b"."):
                parts.append(part)
        if self._rebase is not None:
            first, called = self._rebase
            if first == b".":
                parts.insert(0, called)
            elif parts and parts[0] == first:
                parts[0] = called
            elif parts:
                raise InvalidArchive(f"{_shown(name)} is not below {_shown(first)}, which was asked for")
        return b"/".join(parts)

    def _folder(self, path: bytes) -> int:
        """A descriptor of the folder *path*, which is made, with what leads to it, where it is missing."""
        if self._last is not None and self._last[0] == path:
            return self._last[1]
        self._forget()
        try:
            found = self._reach(path or b".")
        except FileNotFoundError:
            found = self._made(path)
        self._last = (path, found)
        return found

    def _made(self, path: bytes) -> int:
        parts = path.split(b"/")
        above = self._reach(b".")
        for depth, part in enumerate(parts, 1):
            try:
                inner = self._reach(b"/".join(parts[:depth]))
            except FileNotFoundError:
                os.mkdir(part, 0o755, dir_fd=above)
                inner = self._reach(b"/".join(parts[:depth]))
            finally:
                os.close(above)
            above = inner
        return above

    def _make_room(self, folder: int, base: bytes, entry: Entry) -> bool:
        """Take away what is there as *base*; False when it can stay: a folder for a folder."""
        try:
            status = os.stat(base, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return True
        if stat.S_ISDIR(status.st_mode):
            if entry.kind is Kind.DIRECTORY:
                return False
            raise InvalidArgument(
                f"cannot overwrite directory {_shown(entry.name)} with non-directory", hint="remove it first"
            )
        if entry.kind is Kind.DIRECTORY:
            raise InvalidArgument(
                f"cannot overwrite non-directory {_shown(entry.name)} with directory", hint="remove it first"
            )
        with contextlib.suppress(FileNotFoundError):
            os.unlink(base, dir_fd=folder)
        return True

    def _file(self, reader: TarReader, folder: int, base: bytes, entry: Entry) -> None:
        descriptor = self._open_new(folder, base, entry)
        try:
            if entry.size:
                reader.copy_to_fd(descriptor)
            if owner := self._owner(entry):
                os.fchown(descriptor, *owner)
            self._dress(descriptor, entry)  # after chown, which takes capabilities away
            os.fchmod(descriptor, entry.mode)  # after chown, which takes set-user-id away
            os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(descriptor)

    def _open_new(self, folder: int, base: bytes, entry: Entry) -> int:
        for _ in range(_TRIES):
            try:
                self._make_room(folder, base, entry)
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                return _open_in_place(folder, base)  # a file that is mounted there
            with contextlib.suppress(FileExistsError):
                return os.open(base, _NEW, 0o600, dir_fd=folder)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def _link(self, folder: int, base: bytes, entry: Entry) -> None:
        above, _, name = self._path(entry.linkname).rpartition(b"/")
        try:
            source = self._reach(above or b".")
            try:
                target = os.stat(name or b".", dir_fd=source, follow_symlinks=False)
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(target, os.stat(base, dir_fd=folder, follow_symlinks=False)):
                        return
                self._make_room(folder, base, entry)
                os.link(name, base, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
            finally:
                os.close(source)
        except (FileNotFoundError, NotADirectoryError):
            raise InvalidArchive(
                f"{_shown(entry.name)} is a hard link to {_shown(entry.linkname)}, which is not there"
            ) from None

    def _node(self, folder: int, base: bytes, entry: Entry) -> None:
        """A symlink, device or FIFO."""
        self._make_room(folder, base, entry)
        if entry.kind is Kind.SYMLINK:
            os.symlink(entry.linkname, base, dir_fd=folder)
        else:
            os.mknod(base, _NODES[entry.kind] | entry.mode, os.makedev(entry.devmajor, entry.devminor), dir_fd=folder)
        if owner := self._owner(entry):
            os.chown(base, *owner, dir_fd=folder, follow_symlinks=False)
        os.utime(base, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=folder, follow_symlinks=False)

    def _finish(self, path: bytes, entry: Entry) -> None:
        """Dress the folder *path*, if it is one still."""
        above, _, base = path.rpartition(b"/")
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            folder = self._reach(above or b".")
            try:
                descriptor = os.open(base, _FOLDER, dir_fd=folder)
            finally:
                os.close(folder)
            try:
                if owner := self._owner(entry):
                    os.fchown(descriptor, *owner)
                self._dress(descriptor, entry)
                os.fchmod(descriptor, entry.mode)
                os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
            finally:
                os.close(descriptor)

    def _forget(self) -> None:
        if self._last is not None:
            os.close(self._last[1])
            self._last = None


def _open_in_place(folder: int, base: bytes) -> int:
    if not stat.S_ISREG(os.stat(base, dir_fd=folder, follow_symlinks=False).st_mode):
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
    return os.open(base, _IN_PLACE, dir_fd=folder)


class _naming:  # noqa: N801 - reads as a function
    """What goes wrong with the entry *name* says so."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(
                    f"no space left for {_shown(self._name)}", hint="free space there, then retry"
                ) from error
            raise Error(f"{_shown(self._name)} cannot be made: {error.strerror}") from error


def _shown(name: bytes) -> str:
    return repr(name[:200].decode(errors="backslashreplace"))
