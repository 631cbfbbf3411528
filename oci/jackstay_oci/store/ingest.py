"""A blob on its way in, until its commit gives it its name.

Guarantees: one writer an ingest, across processes (``ingest_folder`` sees to it); a commit is durable when it returns
(data on disk, then the name, then the folder that has the name); wrong bytes never get a name and are deleted at once;
whatever is cut leaves either an ingest to go on with or the finished blob. Leaves to its callers: how long an ingest is
kept, and how many.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from jackstay_oci.digest import Digest, hasher
from jackstay_oci.errors import DigestMismatch, LimitExceeded, NotFound
from jackstay_oci.store import ingest_folder, writeback
from jackstay_oci.store.disk_errors import full_disk_named

FAULT_POINTS: tuple[str, ...] = (
    "content.ingest.created",
    "content.ingest.named",
    "content.write.begun",
    "content.commit.synced",
    "content.commit.renamed",
    "content.commit.folder_synced",
    "content.commit.existed",
    "content.commit.ingest_removed",
    "content.abort.removed",
    "content.evict.removed",
    "content.sweep.removed",
)
"""Every name that an ingest hands to its ``fault`` callable."""

WRITE_OUT_EVERY = 64 << 20
"""Bytes after which they begin to be written out, so that a commit never waits for a whole layer."""

_REHASH = 1 << 20
_DATA_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def nothing(point: str) -> None:
    """The fault callable of a store that is not under test."""


class Ingest:
    """One ingest, open for writing, by one thread at a time. As a context manager it closes and never commits."""

    def __init__(
        self, folder: int, path: Path, blobs: Path, ref: str, expected: Digest | None, total: int | None,
        fault: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.ref = ref
        self.expected = expected
        self.total = total
        self._folder = folder
        self._path = path
        self._fd = -1
        self._blobs = blobs
        self._fault = fault
        self._hash = hasher()
        self._adopted: Digest | None = None
        self._offset = 0
        self._unsynced = 0

    @classmethod
    def open(
        cls, ingests: Path, blobs: Path, ref: str, *, expected: Digest | None, total: int | None,
        fault: Callable[[str], None],
    ) -> Ingest:  # fmt: skip
        """Begin or go on; see ``BlobStore.ingest``."""
        path = ingest_folder.folder_of(ingests, ref)
        with full_disk_named(f"ingest {ref}"):
            ingest = cls(ingest_folder.hold(path, ref), path, blobs, ref, expected, total, fault)
            try:
                fault("content.ingest.created")
                ingest_folder.describe(ingest._folder, ref, total)
                fault("content.ingest.named")
                ingest._resume()
            except FileNotFoundError:
                ingest.close()
                raise NotFound(f"ingest {ref} was aborted") from None
            except BaseException:
                ingest.close()
                raise
        return ingest

    def __enter__(self) -> Ingest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def offset(self) -> int:
        """Bytes received and hashed: where the next write goes."""
        return self._offset

    @property
    def digest(self) -> Digest:
        """The digest of the bytes received so far."""
        return self._adopted if self._adopted is not None else Digest.finish(self._hash)

    @property
    def descriptor(self) -> int:
        """The file, for another process that writes to it from ``offset`` on; `adopt` is to be told what came of it."""
        return self._open_fd()

    def adopt(self, digest: Digest, size: int) -> None:
        """Take what another process has written through `descriptor` for written here: it has hashed what it wrote.

        Args:
            digest: of all bytes of the ingest, which had none before.
            size: how many they are.

        Raises:
            DigestMismatch: the file has another size.
        """
        found = os.fstat(self._open_fd()).st_size
        if found != size:
            raise DigestMismatch(f"ingest {self.ref}: {found} bytes were written, expected {size}")
        self._adopted, self._offset = digest, size

    def write(self, buffer: bytes | bytearray | memoryview) -> int:
        """Append all of ``buffer``; how many bytes that were. After an error, ``offset`` says what was taken.

        Raises:
            LimitExceeded: the ingest would have more than ``total`` bytes; nothing of the buffer is taken.
            DiskFull: no space is left; the ingest can go on later.
        """
        fd = self._open_fd()
        with memoryview(buffer) as given, given.cast("B") as view:
            if self.total is not None and self._offset + len(view) > self.total:
                raise LimitExceeded(f"ingest {self.ref}: more than the {self.total} bytes announced")
            done = 0
            with full_disk_named(f"ingest {self.ref}"):
                while done < len(view):
                    count = os.write(fd, view[done:])
                    self._hash.update(view[done : done + count])
                    self._offset += count
                    done += count
                self._unsynced += done
                if self._unsynced >= WRITE_OUT_EVERY:
                    writeback.begin(fd, self._offset - self._unsynced, self._unsynced)
                    self._unsynced = 0
                    self._fault("content.write.begun")
        return done

    def commit(self, size: int | None = None, digest: Digest | None = None) -> Digest:
        """Verify, make durable, give the blob its name, end the ingest. The blob may have come meanwhile: no error.

        Raises:
            DigestMismatch: the bytes are not as many as, or not those that were promised; they are deleted.
            NotFound: the ingest was aborted by somebody else.
            DiskFull: no space is left; the ingest is kept.
        """
        fd = self._open_fd()
        actual = self._verified(size, digest)
        target = self._blobs / actual.hex
        with full_disk_named(f"blob {actual}"):
            if _size_of(target) == self._offset:
                # Its committer may not have synced the folder yet, and our caller will record the blob as durable.
                _sync_folder(self._blobs, self._fault, "content.commit.existed")
            else:
                os.fsync(fd)
                self._fault("content.commit.synced")
                try:
                    os.rename("data", target, src_dir_fd=self._folder)
                except FileNotFoundError:
                    self.close()
                    raise NotFound(f"ingest {self.ref} was aborted") from None
                self._fault("content.commit.renamed")
                os.fchmod(fd, 0o444)  # not before: an ingest cut there could not be opened again without root
                _sync_folder(self._blobs, self._fault, "content.commit.folder_synced")
        ingest_folder.remove_held(self._folder, self._path)
        self._fault("content.commit.ingest_removed")
        self.close()
        return actual

    def close(self) -> None:
        """Stop writing and keep the bytes for resuming. After a commit or an abort, and twice: nothing happens."""
        for fd in (self._fd, self._folder):  # the folder last, its lock ends there
            if fd >= 0:
                os.close(fd)
        self._fd = self._folder = -1

    def abort(self) -> None:
        """Stop writing and delete the bytes. After a commit or a close: nothing happens."""
        if self._folder < 0:
            return
        ingest_folder.remove_held(self._folder, self._path)
        self._fault("content.abort.removed")
        self.close()

    def _open_fd(self) -> int:
        if self._fd < 0:
            raise ValueError(f"ingest {self.ref} is closed")
        return self._fd

    def _resume(self) -> None:
        """Hash what is there already, and stand at its end. More than the total cannot be right: begin anew."""
        fd = self._fd = os.open("data", _DATA_FLAGS, 0o600, dir_fd=self._folder)
        if self.total is not None and os.fstat(fd).st_size > self.total:
            os.ftruncate(fd, 0)
        while chunk := os.pread(fd, _REHASH, self._offset):
            self._hash.update(chunk)
            self._offset += len(chunk)
        os.lseek(fd, self._offset, os.SEEK_SET)

    def _verified(self, size: int | None, digest: Digest | None) -> Digest:
        actual = self.digest
        for wanted in (size, self.total):
            if wanted is not None and wanted != self._offset:
                self.abort()
                raise DigestMismatch(f"ingest {self.ref}: {self._offset} bytes came, expected {wanted}")
        for promised in (digest, self.expected):
            if promised is not None and promised != actual:
                self.abort()
                raise DigestMismatch(f"ingest {self.ref}: the bytes have digest {actual}, expected {promised}")
        return actual


def _size_of(path: Path) -> int | None:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return None


def _sync_folder(folder: Path, fault: Callable[[str], None], point: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    fault(point)
