"""The blob store: ``ROOT/blobs/sha256/<hex>``, files that never change, named by what is in them.

Guarantees that a file under ``blobs`` was complete, verified and on disk before it got its name (``ingest`` does that),
and that no path is made from anything but a parsed digest. Leaves to its callers: which blobs are in use, and not to
delete one that somebody is about to commit again (the agent's leases and collection do that). Reading does not hash.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path

from jackstay_oci.digest import Digest
from jackstay_oci.documents import MAX_DOCUMENT
from jackstay_oci.errors import InvalidDigest, InvalidDocument, NotFound
from jackstay_oci.store import ingest_folder
from jackstay_oci.store.disk_errors import full_disk_named
from jackstay_oci.store.ingest import FAULT_POINTS as INGEST_FAULT_POINTS
from jackstay_oci.store.ingest import Ingest, nothing
from jackstay_oci.store.ingest_folder import IngestStatus

FAULT_POINTS: tuple[str, ...] = (*INGEST_FAULT_POINTS, "content.store.created", "content.delete.unlinked")
"""Every name that a store hands to its ``fault`` callable."""


class BlobStore:
    """Blobs under one folder. Several processes and threads may use the same folder at once.

    Args:
        root: the folder; made, with mode 0700, when it is missing.
        fault: called with a name of ``FAULT_POINTS`` beside each step that makes something durable; tests die there.
    """

    def __init__(self, root: Path | str, *, fault: Callable[[str], None] = nothing) -> None:
        self.root = Path(root)
        self._fault = fault
        self._blobs = self.root / "blobs" / "sha256"
        self._ingests = self.root / "ingest"
        with full_disk_named(f"the blob store {self.root}"):
            for folder in (self.root, self.root / "blobs", self._blobs, self._ingests):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fault("content.store.created")

    def path(self, digest: Digest) -> Path:
        """Where the blob is or would be."""
        return self._blobs / Digest.parse(digest).hex

    def has(self, digest: Digest) -> bool:
        """Whether the blob is here, whole."""
        try:
            return stat.S_ISREG(os.lstat(self.path(digest)).st_mode)
        except FileNotFoundError:
            return False

    def size(self, digest: Digest) -> int:
        """Bytes of the blob.

        Raises:
            NotFound: it is not here.
        """
        try:
            return os.lstat(self.path(digest)).st_size
        except FileNotFoundError:
            raise _missing(digest) from None

    def open(self, digest: Digest) -> int:
        """A read-only, close-on-exec descriptor of the blob; the caller closes it.

        Raises:
            NotFound: it is not here.
        """
        try:
            return os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise _missing(digest) from None

    def open_blob(self, digest: Digest) -> FileIO:
        """The blob as an unbuffered file object, which closes its descriptor.

        Raises:
            NotFound: it is not here.
        """
        return FileIO(self.open(digest), "rb", closefd=True)

    def read(self, digest: Digest, *, limit: int = MAX_DOCUMENT) -> bytes:
        """The whole blob in memory: for manifests, indexes and configs.

        Raises:
            NotFound: it is not here.
            InvalidDocument: it is larger than ``limit`` bytes.
        """
        with self.open_blob(digest) as file:
            if (size := os.fstat(file.fileno()).st_size) > limit:
                raise InvalidDocument(f"blob {digest} has {size} bytes, a document has at most {limit}")
            return file.readall()

    def put(self, data: bytes) -> Digest:
        """Store ``data`` durably and say its digest. Storing what is there already is no error.

        Raises:
            DiskFull: no space is left.
        """
        digest = Digest.of(data)
        if self.has(digest) and self.size(digest) == len(data):
            return digest
        ingest = self.ingest(f"put-{digest.hex}-{secrets.token_hex(8)}", expected=digest, total=len(data))
        try:
            ingest.write(data)
            return ingest.commit()
        except BaseException:
            ingest.abort()
            raise

    def delete(self, digest: Digest) -> bool:
        """Remove the blob; whether it was there. Readers that have it open keep it."""
        try:
            os.unlink(self.path(digest))
        except FileNotFoundError:
            return False
        self._fault("content.delete.unlinked")
        return True

    def walk(self) -> Iterator[tuple[Digest, int]]:
        """Every blob here with its size in bytes, in no order. What is deleted meanwhile may or may not come."""
        with os.scandir(self._blobs) as entries:
            for entry in entries:
                with suppress(InvalidDigest, FileNotFoundError):
                    digest = Digest.parse(f"sha256:{entry.name}")
                    if entry.is_file(follow_symlinks=False):
                        yield digest, entry.stat(follow_symlinks=False).st_size

    def ingest(self, ref: str, *, expected: Digest | None = None, total: int | None = None) -> Ingest:
        """Begin the ingest called ``ref``, or go on where an earlier one of that name stopped.

        Args:
            ref: the caller's name for it, stable across restarts when it is to be resumed.
            expected: the digest that the bytes must have in the end.
            total: how many bytes they must be.

        Raises:
            Busy: somebody writes to this ingest now.
            DiskFull: no space is left.
        """
        return Ingest.open(
            self._ingests, self._blobs, ref, expected=None if expected is None else Digest.parse(expected), total=total,
            fault=self._fault,
        )  # fmt: skip

    def ingests(self) -> Iterator[IngestStatus]:
        """Every ingest here, begun and not committed, whether somebody writes to it now or not."""
        return ingest_folder.statuses(self._ingests)

    def open_ingest(self, ref: str) -> int:
        """A read-only descriptor of the bytes received so far; it stays good through the commit.

        Raises:
            NotFound: there is no ingest of that name.
        """
        try:
            return os.open(
                ingest_folder.folder_of(self._ingests, ref) / "data", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
            )
        except FileNotFoundError:
            raise NotFound(f"no ingest {ref!r}") from None

    def abort(self, ref: str) -> None:
        """Forget the ingest called ``ref``, also one that somebody writes to now: their commit then fails.

        Raises:
            NotFound: there is no ingest of that name.
        """
        ingest_folder.remove(self._ingests, ref, fault=self._fault)

    def evict(self, ref: str) -> bool:
        """Forget the ingest called ``ref`` unless somebody writes to it now; whether it is gone."""
        return ingest_folder.remove_idle(self._ingests, ref, fault=self._fault)

    def sweep(self) -> int:
        """Remove what a cut left behind of ingests that never got their name; how many. For the start of a process."""
        return ingest_folder.sweep(self._ingests, fault=self._fault)


def _missing(digest: Digest) -> NotFound:
    return NotFound(f"no blob {digest}")
