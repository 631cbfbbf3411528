"""The files of an archive by name: an index over a tar, or a folder.

Guarantees that a name is only looked up: ``..`` and links lead to other entries of the same tar or nowhere, and nothing
of a folder is reached through a symbolic link. Making the index reads headers only.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Protocol

from jackstay_oci.documents import MAX_DOCUMENT
from jackstay_oci.errors import InvalidArchive, InvalidDocument, NotFound
from jackstay_oci.limits import Limits
from jackstay_oci.reading import Region, read_exactly
from jackstay_oci.tar.entries import Entry, Kind
from jackstay_oci.tar.reader import TarReader

_MAX_LINKS = 40


class Files(Protocol):
    """What archives are read through."""

    def region(self, name: str) -> Region:
        """The content of the file called ``name``, to be closed by the caller before the ``Files`` are.

        Raises:
            NotFound: there is no such file.
            InvalidArchive: it is there, and cannot be used.
        """
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


class TarFiles:
    """The files of an uncompressed tar. Owns the descriptor."""

    def __init__(self, fd: int, limits: Limits) -> None:
        self._fd = fd
        self._offset = os.lseek(fd, 0, os.SEEK_CUR)
        size = os.fstat(fd).st_size - self._offset
        self._entries: dict[tuple[bytes, ...], Entry] = {}
        try:
            for entry in TarReader(Region(fd, self._offset, size), limits):
                self._entries[_parts(entry.name)] = entry
        except BaseException as error:
            os.close(fd)
            if isinstance(error, InvalidArchive) and not self._entries:
                raise InvalidArchive(f"it is no tar archive: {error.message}") from error
            raise

    def region(self, name: str) -> Region:
        """See ``Files``."""
        parts = _parts(os.fsencode(name))
        for _ in range(_MAX_LINKS):
            entry = self._entries.get(parts)
            if entry is None:
                raise NotFound(f"no file {name[:200]!r}")
            if entry.kind is Kind.SYMLINK:
                parts = _resolve(parts[:-1], entry.linkname)
            elif entry.kind is Kind.HARDLINK:
                parts = _parts(entry.linkname)
            elif entry.kind is not Kind.FILE:
                raise InvalidArchive(f"{name[:200]!r} is a {entry.kind.value}, expected a file")
            elif not entry.contiguous:
                raise InvalidArchive(
                    f"{name[:200]!r} is stored as a sparse file", hint="make the archive without --sparse"
                )
            else:
                return Region(self._fd, self._offset + entry.offset, entry.size)
        raise InvalidArchive(f"{name[:200]!r} leads through more than {_MAX_LINKS} links")

    def close(self) -> None:
        """See ``Files``."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class FolderFiles:
    """The files of a folder, opened anew each time they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def region(self, name: str) -> Region:
        """See ``Files``."""
        fd = self._open_inside(name)
        return Region(fd, 0, os.fstat(fd).st_size, owned=True)

    def close(self) -> None:
        """See ``Files``."""
        root, self._root = self._root, -1
        if root >= 0:
            os.close(root)

    def _open_inside(self, name: str) -> int:
        *folders, last = name.split("/")
        if not all(part not in ("", ".", "..") for part in (*folders, last)):
            raise NotFound(f"no file {name[:200]!r}")
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        with ExitStack() as stack:
            at = self._root
            try:
                for part in folders:
                    at = os.open(part, flags | os.O_DIRECTORY, dir_fd=at)
                    stack.callback(os.close, at)
                fd = os.open(last, flags | os.O_NONBLOCK, dir_fd=at)
            except FileNotFoundError:
                raise NotFound(f"no file {name[:200]!r}") from None
            except OSError as error:
                raise InvalidArchive(f"{name[:200]!r} cannot be opened: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise InvalidArchive(f"{name[:200]!r} is not a file")
        return fd


def read_document(files: Files, name: str) -> bytes:
    """The whole of a small file.

    Raises:
        NotFound: there is no such file.
        InvalidDocument: it is larger than a document may be.
    """
    with closing(files.region(name)) as region:
        if region.length > MAX_DOCUMENT:
            raise InvalidDocument(f"{name[:200]!r} has {region.length} bytes, a document has at most {MAX_DOCUMENT}")
        return read_exactly(region, region.length)


def _parts(name: bytes) -> tuple[bytes, ...]:
    return tuple(part for part in name.split(b"/") if part not in (b"", b"."))


def _resolve(folder: tuple[bytes, ...], target: bytes) -> tuple[bytes, ...]:
    """Where a symbolic link in ``folder`` leads, as names only."""
    parts = [] if target.startswith(b"/") else list(folder)
    for part in _parts(target):
        if part != b"..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            raise InvalidArchive(f"the link target {target[:200]!r} leads out of the archive")
    return tuple(parts)
