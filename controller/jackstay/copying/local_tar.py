"""A local file or folder as a tar, for ``cp``: names below the one that it is to have, nothing followed.

Guarantees: what is no file is not opened; memory grows with depth and with files of several names alone. Sockets are
left out, as tar has none. Attributes ``user.*`` and capabilities travel.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from msgspec.structs import replace

from jackstay.errors import Error, InvalidArgument, NotFound
from jackstay_oci.tar.entries import Entry, Kind
from jackstay_oci.tar.writer import BinaryWriter, TarWriter

_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
}
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def look(path: str, *, follow: bool) -> tuple[str, bool]:
    """Where the source *path* is, and whether it is a folder; *follow*: also a link at its end.

    Raises:
        NotFound: nothing is there.
        InvalidArgument: it says that it is a folder, and is none.
    """
    says_folder = path.endswith(("/", "/.")) or path == "."
    real = os.path.realpath(path) if follow or says_folder else path
    try:
        status = os.stat(real, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"{path}: no such file or directory", hint="check the path") from None
    except OSError as error:
        raise Error(f"{path}: {error.strerror}") from None
    is_folder = stat.S_ISDIR(status.st_mode)
    if says_folder and not is_folder:
        raise InvalidArgument(f"{path}: not a directory")
    return real, is_folder


def write_tar(path: str, name: str, out: BinaryWriter) -> None:
    """Write *path* as *name*, "." for what is in it, to *out*.

    Raises:
        Error: a file cannot be read, or became shorter while it was.
    """
    top = os.fsencode(path)
    called = b"" if name == "." else os.fsencode(name)
    tar = TarWriter(out, nanoseconds=True)
    first: dict[tuple[int, int], Entry] = {}
    for file, inner in _walk(top):
        try:
            _add(tar, file, b"/".join(filter(None, (called, inner))), first)
        except BrokenPipeError:
            raise  # whoever wanted the tar is gone
        except OSError as error:
            if isinstance(error, FileNotFoundError) and inner:
                continue  # it was removed meanwhile
            raise Error(f"{os.fsdecode(file)}: {error.strerror}") from None
    tar.close()


def _walk(top: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every path, and what it is called below *top*; folders first, sorted."""
    waiting = [b""]
    while waiting:
        inner = waiting.pop()
        file = os.path.join(top, inner) if inner else top
        yield file, inner
        if os.path.isdir(file) and not os.path.islink(file):
            try:
                names = sorted(os.listdir(file), reverse=True)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise Error(f"{os.fsdecode(file)}: {error.strerror}") from None
            waiting += [os.path.join(inner, name) for name in names]


def _add(tar: TarWriter, file: bytes, name: bytes, first: dict[tuple[int, int], Entry]) -> None:
    status = os.lstat(file)
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return
    entry = Entry(
        name=name,
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime_ns=status.st_mtime_ns,
        devmajor=os.major(status.st_rdev),
        devminor=os.minor(status.st_rdev),
    )
    if kind is Kind.DIRECTORY:
        tar.add(replace(entry, name=name + b"/" if name else b"./", xattrs=_attributes(file)))
        return
    inode = (status.st_dev, status.st_ino)
    if status.st_nlink > 1 and (known := first.get(inode)):
        tar.add(replace(entry, kind=Kind.HARDLINK, linkname=known.name, xattrs=known.xattrs))
        return
    if kind is Kind.FILE:
        entry = _add_file(tar, file, entry)
    else:
        entry = replace(entry, linkname=os.readlink(file)) if kind is Kind.SYMLINK else entry
        tar.add(entry)
    if status.st_nlink > 1:
        first[inode] = entry


def _add_file(tar: TarWriter, file: bytes, entry: Entry) -> Entry:
    descriptor = os.open(file, _FILE)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Error(f"{os.fsdecode(file)} became something else while it was read")
        if not status.st_size and (content := os.read(descriptor, 1 << 20)):  # of /proc, whose sizes are not known
            while piece := os.read(descriptor, 1 << 20):
                content += piece
            entry = replace(entry, size=len(content))
            tar.add(entry, content)
            return entry
        entry = replace(entry, size=status.st_size, xattrs=_attributes(descriptor))
        tar.add(entry, descriptor)
        return entry
    finally:
        os.close(descriptor)


def _attributes(file: bytes | int) -> dict[bytes, bytes]:
    try:
        names = os.listxattr(file)
    except OSError:
        return {}
    kept = [name for name in names if name.startswith("user.") or name == "security.capability"]
    return {os.fsencode(name): os.getxattr(file, name) for name in kept}
