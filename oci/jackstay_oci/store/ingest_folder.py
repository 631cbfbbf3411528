"""The folder of one ingest, ``ROOT/ingest/<sha256 of its ref>/{ref,data,total}``, and who may write in it.

Guarantees one holder at a time, across processes: a lock on the folder itself, which ends with its holder's life. What
a holder does goes through the folder's descriptor, so that somebody who removes the folder, or makes it anew, is never
mistaken for the holder. A folder without its ``ref``, or without ``data``, was cut in between and holds nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jackstay_oci.digest import Digest
from jackstay_oci.errors import Busy, InvalidArgument, InvalidDigest, NotFound

MAX_REF = 4096
"""Longest name of an ingest in bytes."""

_FILES = ("data", "total", "ref")


@dataclass(frozen=True, slots=True)
class IngestStatus:
    """An ingest as it lies on disk. Times are nanoseconds since the epoch, sizes bytes."""

    ref: str
    offset: int
    total: int | None
    started_ns: int
    updated_ns: int


def folder_of(ingests: Path, ref: str) -> Path:
    """The folder of the ingest called ``ref``.

    Raises:
        InvalidArgument: the name is empty or too long.
    """
    encoded = _encoded(ref)
    if not 0 < len(encoded) <= MAX_REF:
        raise InvalidArgument(f"the name of an ingest has 1 to {MAX_REF} bytes, this has {len(encoded)}")
    return ingests / hashlib.sha256(encoded).hexdigest()


def hold(folder: Path, ref: str) -> int:
    """Make the folder when it is missing and lock it; its descriptor, whose closing ends the lock.

    Raises:
        Busy: somebody else holds it.
    """
    while True:
        with suppress(FileExistsError):  # not pathlib's exist_ok, which fails when the folder goes away meanwhile
            os.mkdir(folder, mode=0o700)
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue  # its last holder removed it just now
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(fd, folder):
                return fd
        except BlockingIOError:
            os.close(fd)
            raise Busy(f"ingest {ref} is being written by another request", hint="try again later") from None
        os.close(fd)


def describe(folder: int, ref: str, total: int | None) -> None:
    """Write down the size to come, when it is known, and the name, where they are not written already."""
    for name, text in (("total", "" if total is None else str(total)), ("ref", ref)):
        with open(name, "a+b", opener=lambda path, flags: os.open(path, flags, 0o600, dir_fd=folder)) as file:
            file.seek(0)
            if text and file.read(MAX_REF + 1) != _encoded(text):
                file.truncate(0)
                file.write(_encoded(text))


def remove_held(folder: int, path: Path) -> None:
    """Delete the folder that the descriptor stands for, once called ``path``. Does not close the descriptor."""
    for name in _FILES:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
    if _is_at(folder, path):
        with suppress(OSError):
            path.rmdir()


def remove(ingests: Path, ref: str, *, fault: Callable[[str], None]) -> None:
    """Delete the ingest called ``ref``, also from under its writer; see ``BlobStore.abort``."""
    path = folder_of(ingests, ref)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise NotFound(f"no ingest {ref!r}") from None
    try:
        remove_held(fd, path)
    finally:
        os.close(fd)
    fault("content.abort.removed")


def remove_idle(ingests: Path, ref: str, *, fault: Callable[[str], None]) -> bool:
    """Delete the ingest called ``ref`` unless somebody holds it; whether it is gone."""
    path = folder_of(ingests, ref)
    try:
        fd = hold(path, ref)
    except Busy:
        return False
    try:
        remove_held(fd, path)
    finally:
        os.close(fd)
    fault("content.evict.removed")
    return True


def statuses(ingests: Path) -> Iterator[IngestStatus]:
    """Every ingest under the folder that has its name and its data."""
    for folder in _folders(ingests):
        with suppress(FileNotFoundError):
            if (ref := _ref_of(folder)) is None:
                continue
            named, data = os.stat(folder / "ref"), os.stat(folder / "data")
            text = (folder / "total").read_text()
            total = int(text) if text.isascii() and text.isdigit() else None
            yield IngestStatus(ref, data.st_size, total, named.st_mtime_ns, data.st_mtime_ns)


def sweep(ingests: Path, *, fault: Callable[[str], None]) -> int:
    """Delete folders that were cut in between and that nobody holds; how many."""
    count = 0
    for path in _folders(ingests):
        if _ref_of(path) is not None and (path / "data").exists():
            continue
        with suppress(Busy):
            fd = hold(path, path.name)
            try:
                remove_held(fd, path)
            finally:
                os.close(fd)
            fault("content.sweep.removed")
            count += 1
    return count


def _folders(ingests: Path) -> Iterator[Path]:
    with os.scandir(ingests) as entries:
        for entry in entries:
            with suppress(InvalidDigest):
                Digest.parse(f"sha256:{entry.name}")
                yield Path(entry.path)


def _ref_of(folder: Path) -> str | None:
    try:
        ref = (folder / "ref").read_bytes()
    except FileNotFoundError:
        return None
    return ref.decode("utf-8", "surrogateescape") if hashlib.sha256(ref).hexdigest() == folder.name else None


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False
