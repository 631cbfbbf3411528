"""An OCI folder (``oci:DIR``) that images are added to; what it holds stays.

Guarantees that a blob was complete, verified and on disk before it got its name, that ``index.json`` is replaced at
once and only after every blob that it names is there, and that two who add at the same time lose nothing: a lock on the
folder is held while the index is read and replaced. Whatever is cut before leaves the images of before. Another name is
never taken away from an image but by the image that is added under it. Leaves what nothing names any more to others.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from jackstay_oci import media_types
from jackstay_oci.archives.naming import label
from jackstay_oci.archives.oci_layout import LAYOUT, check_layout
from jackstay_oci.digest import Digest, hasher
from jackstay_oci.documents import MAX_DOCUMENT, Descriptor, Index, encode, parse_index
from jackstay_oci.errors import DigestMismatch, InvalidArchive, InvalidDocument
from jackstay_oci.store.disk_errors import full_disk_named
from jackstay_oci.tar.window import write_all

_TEMPORARY = ".jackstay-"


class OciFolder:
    """A folder that is an OCI layout, or will be one when something is added. Made by :meth:`at`.

    Attributes:
        path: the folder; nothing is made there before the first blob.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._blobs = path / "blobs" / "sha256"

    @classmethod
    def at(cls, path: Path | str) -> OciFolder:
        """The OCI layout at ``path``, or a new one in an empty or missing folder.

        Raises:
            InvalidArchive: it is a file, or a folder with other things in it, or a layout of another version.
            InvalidDocument: its ``index.json`` is none.
        """
        path = Path(path)
        try:
            names = {name for name in os.listdir(path) if not name.startswith(_TEMPORARY)}
        except FileNotFoundError:
            return cls(path)
        except OSError as error:
            raise InvalidArchive(f"{path}: cannot be written to: {error.strerror}") from error
        if names and "oci-layout" not in names:
            raise InvalidArchive(
                f"{path} is no OCI folder, and not empty", hint="name an OCI folder, an empty or a new one"
            )
        folder = cls(path)
        if names:
            try:
                check_layout((path / "oci-layout").read_bytes())
            except InvalidArchive as error:
                raise InvalidArchive(f"{path}: {error.message}", hint=error.hint) from error
            folder._index()
        return folder

    def has(self, digest: Digest, size: int) -> bool:
        """Whether a blob of that digest and of ``size`` bytes is there."""
        try:
            return os.stat(self._blobs / digest.hex, follow_symlinks=False).st_size == size
        except FileNotFoundError:
            return False

    def blob(self, digest: Digest, size: int) -> BlobWriter:
        """Begin to write a blob; to be used as a context manager.

        Raises:
            DiskFull: no space is left.
        """
        with self._full_disk_named():
            self._make()
            return BlobWriter(self.path / f"{_TEMPORARY}{secrets.token_hex(8)}", self._blobs / digest.hex, digest, size)

    def add(self, descriptors: Sequence[Descriptor]) -> None:
        """Name images, whose blobs are there: each descriptor has at most one name, as annotations.

        An image of before that has one of the names loses it. One that is here under a name needs no entry without.

        Raises:
            InvalidDocument: the folder's ``index.json`` is none.
            DiskFull: no space is left.
        """
        with self._full_disk_named():
            self._make()
            for folder in (self._blobs, self._blobs.parent):
                _sync(folder)
            with self._locked():
                old = self._index()
                if (new := _merged(old, descriptors)) != old:
                    self._replace("index.json", encode(new))
                _sync(self.path)

    def _make(self) -> None:
        """Make it what :meth:`at` takes for an OCI folder, so that what is cut from here on can be tried again."""
        self.path.mkdir(parents=True, exist_ok=True)
        if not (self.path / "oci-layout").exists():
            self._replace("oci-layout", LAYOUT)
        self._blobs.mkdir(parents=True, exist_ok=True)

    def _index(self) -> Index | None:
        path = self.path / "index.json"
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_DOCUMENT + 1)
        except FileNotFoundError:
            return None
        try:
            return parse_index(raw)
        except InvalidDocument as error:
            raise InvalidDocument(f"{path}: {error.message}", hint=error.hint) from error

    def _replace(self, name: str, data: bytes) -> None:
        target = self.path / name
        temporary = self.path / f"{_TEMPORARY}{secrets.token_hex(8)}"
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(target)
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    @contextmanager
    def _full_disk_named(self) -> Iterator[None]:
        with full_disk_named(f"the OCI folder {self.path}"):
            yield


class BlobWriter:
    """A blob on its way into a folder; gone without a trace unless it was committed."""

    def __init__(self, temporary: Path, target: Path, digest: Digest, size: int) -> None:
        self._temporary = temporary
        self._target = target
        self._digest = digest
        self._left = size
        self._hash = hasher()
        self._fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget what was not committed."""
        os.close(self._fd)
        self._temporary.unlink(missing_ok=True)

    def write(self, data: bytes | memoryview) -> None:
        """Take more of it.

        Raises:
            DigestMismatch: it is longer than it should be.
            DiskFull: no space is left.
        """
        self._left -= len(data)
        if self._left < 0:
            raise DigestMismatch(f"blob {self._digest} is {-self._left} bytes longer than expected")
        self._hash.update(data)
        with full_disk_named(f"the OCI folder {self._temporary.parent}"):
            write_all(self._fd, data)

    def commit(self) -> None:
        """Give it its name.

        Raises:
            DigestMismatch: it is not what its digest says, or too short.
        """
        if self._left:
            raise DigestMismatch(f"blob {self._digest} ends {self._left} bytes short")
        if (found := Digest.finish(self._hash)) != self._digest:
            raise DigestMismatch(f"blob {self._digest} is damaged: it has digest {found}")
        with full_disk_named(f"the OCI folder {self._temporary.parent}"):
            os.fsync(self._fd)
            self._temporary.rename(self._target)


def _merged(old: Index | None, added: Sequence[Descriptor]) -> Index:
    """The index with what was added; what has a name of it, or is it without a name, is left out."""
    before = old.manifests if old is not None else ()
    names = {name for item in added if (name := label(item.annotations))}
    digests = {item.digest for item in added}
    kept = [
        item
        for item in before
        if label(item.annotations) not in names and (label(item.annotations) or item.digest not in digests)
    ]
    named = {item.digest for item in (*kept, *added) if label(item.annotations)}
    fresh = {encode(item): item for item in added if label(item.annotations) or item.digest not in named}
    return Index(
        media_type=media_types.OCI_INDEX,
        manifests=(*kept, *fresh.values()),
        annotations=old.annotations if old is not None else {},
        subject=old.subject if old is not None else None,
    )


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
