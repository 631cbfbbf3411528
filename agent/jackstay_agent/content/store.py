"""The agent's content: blobs on disk, each with its row.

Guarantees: a row is written only after its file is durable, and with the row goes the lease item that keeps it; a file
without a row is rubbish that `clean` removes; an ingest has a row while it lies on disk. Blobs are kept exactly as they
came. The files are the business of `jackstay_oci.store` and `on_disk`; what may be deleted is `gc`'s.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager

from jackstay_agent import faults
from jackstay_agent.content import on_disk
from jackstay_agent.errors import DigestMismatch, DiskFull, NotFound, SourceFailed
from jackstay_agent.kernel.threads import acquire, acquired, finish, to_end
from jackstay_agent.metadata import blobs as rows
from jackstay_agent.metadata import leases
from jackstay_agent.metadata.database import Database
from jackstay_oci.digest import Digest
from jackstay_oci.documents import MAX_DOCUMENT
from jackstay_oci.store.blobs import BlobStore
from jackstay_oci.store.ingest import Ingest
from jackstay_oci.store.ingest_folder import IngestStatus

Along = Callable[[sqlite3.Connection], None]

_PIECE = 1 << 20


class ContentStore:
    """Blobs by digest. `root` is the folder ``STATE/content``; what broke off is kept for *resumable_hours*, and of it
    the oldest is given up when there are more than *ingest_bytes* of partial blobs."""

    def __init__(
        self, root: str, database: Database, *, resumable_hours: int = 72, ingest_bytes: int = 20 << 30
    ) -> None:
        self.blobs = BlobStore(root, fault=faults.point)
        self._database = database
        self._resumable_for = resumable_hours * 3600 * 10**9
        self._ingest_bytes = ingest_bytes
        self._beginning = asyncio.Lock()
        self.released: Callable[[str], None] = _nobody
        """Called with each lease that has ended: what it alone kept can be collected."""

    @property
    def database(self) -> Database:
        """The database that has the rows."""
        return self._database

    async def has(self, digest: Digest, size: int | None = None) -> bool:
        """Whether the blob is here: its row and its file, of *size* bytes where that is known.

        A row whose file is gone counts as not here, so that a fetch repairs it.
        """
        known = await self._database.read(lambda c: rows.size_of(c, digest))
        if known is None or (size is not None and known != size):
            return False
        return await finish(on_disk.fits, self.blobs, digest, known)

    async def size(self, digest: Digest) -> int:
        """Bytes of the blob. Raises `NotFound`."""
        return await finish(self.blobs.size, digest)

    async def keep(self, lease: str, digest: Digest) -> bool:
        """Hold the blob by *lease*, and say whether it is here. After True it stays here until the lease ends."""
        await self._database.write("lease.blob", lambda c: leases.keep_blob(c, lease, digest))
        return await self.has(digest)

    async def open(self, digest: Digest) -> int:
        """A read-only descriptor of the blob, the caller's to close. Raises `NotFound`."""
        return await acquire(self.blobs.open, os.close, digest)

    async def read_document(self, digest: Digest, limit: int = MAX_DOCUMENT) -> bytes:
        """The whole of a small blob, hashed anew: what it says is believed.

        Raises `NotFound`, `InvalidDocument` when it is larger than *limit* bytes, `DigestMismatch` when the disk gives
        other bytes than were stored.
        """
        data = await finish(self.blobs.read, digest, limit=limit)
        if Digest.of(data) != digest:
            raise damaged(digest)
        return data

    async def drop_if_damaged(self, digest: Digest) -> bool:
        """Hash the blob anew and delete its file if the disk gives other bytes than were stored; whether it did.

        The row stays: as a row without its file, it is what the next fetch of the blob repairs.
        """
        return await finish(on_disk.drop_if_damaged, self.blobs, digest)

    async def read(self, digest: Digest, offset: int = 0, length: int = 0) -> AsyncGenerator[bytes, None]:
        """The bytes of the blob from *offset*, *length* of them (0: to the end), in pieces of at most 1 MiB."""
        descriptor = await self.open(digest)
        try:
            size = os.fstat(descriptor).st_size
            end = min(offset + length, size) if length else size
            while offset < end:
                piece = await finish(os.pread, descriptor, min(_PIECE, end - offset), offset)
                if not piece:
                    return
                offset += len(piece)
                yield piece
        finally:
            os.close(descriptor)

    async def put(self, data: bytes, lease: str, *, refers_to: Iterable[Digest] = ()) -> Digest:
        """Store the document *data*, which names *refers_to*, under *lease*; its digest."""
        children = tuple(refers_to)
        digest = Digest.of(data)
        await self._database.write("lease.blob", lambda c: leases.keep_blob(c, lease, digest))

        async def store() -> None:
            await finish(self.blobs.put, data)
            await self.record(digest, len(data), lease, refers_to=children)

        await to_end(store())
        return digest

    async def commit(
        self, ingest: Ingest, digest: Digest, size: int, lease: str, *, along: Along | None = None
    ) -> None:
        """Make a blob of the *ingest*, which must have *size* bytes and that *digest*, under *lease*.

        A cancelled caller waits for the whole: a file that got its name without its row would lie there unseen until
        the next start. Raises `DigestMismatch` (then nothing is left of the bytes), `DiskFull`.
        """

        async def store() -> None:
            try:
                await finish(ingest.commit, size, digest)
            except DigestMismatch:
                await self.forget(ingest.ref)
                raise
            await self.record(digest, size, lease, ingest=ingest.ref, along=along)

        await to_end(store())

    async def record(
        self,
        digest: Digest,
        size: int,
        lease: str,
        *,
        refers_to: Iterable[Digest] = (),
        ingest: str = "",
        along: Along | None = None,
    ) -> None:
        """Write the row of a blob whose file is durable, the end of the *ingest* it came by, and what it names."""
        children = tuple(refers_to)

        def work(connection: sqlite3.Connection) -> None:
            leases.keep_blob(connection, lease, digest)
            rows.insert(connection, digest, size)
            rows.refer(connection, digest, children)
            if ingest:
                rows.end_ingest(connection, ingest)
            if along is not None:
                along(connection)

        await self._database.write("content.blob", work)

    async def ingest(self, ref: str, *, expected: Digest | None = None, total: int | None = None) -> Ingest:
        """Begin the ingest *ref*, or go on with it. Raises `Busy` while another request writes to it.

        The oldest of those that nobody writes to make room for its *total* bytes, see `ingest_bytes`. A cancelled
        caller waits for the whole, since a row without its folder would look like a loss; one that nobody gets is
        closed, since its lock would keep everybody else out.
        """
        return await acquired(self._begin_ingest(ref, expected, total), Ingest.close)

    async def _begin_ingest(self, ref: str, expected: Digest | None, total: int | None) -> Ingest:
        async with self._beginning:  # so that none is given up while its next writer opens it
            await self._database.write("content.ingest", lambda c: rows.begin_ingest(c, ref, expected, total))
            await self._end_ingests(
                await finish(on_disk.give_up_oldest, self.blobs, ref, self._ingest_bytes - (total or 0))
            )
            return await finish(self.blobs.ingest, ref, expected=expected, total=total)

    async def ingests(self) -> list[IngestStatus]:
        """The partial ingests on disk."""
        return await finish(lambda: list(self.blobs.ingests()))

    async def forget(self, ref: str) -> None:
        """End the ingest *ref* and delete what came of it; a cancelled caller waits for both."""

        def abort() -> None:
            try:
                self.blobs.abort(ref)
            except NotFound:
                return

        async def forget() -> None:
            await finish(abort)
            await self._database.write("content.ingest.forgotten", lambda c: rows.end_ingest(c, ref))

        await to_end(forget())

    async def _forget_unless_ended(self, ref: str) -> None:
        if await self._database.read(lambda c: rows.has_ingest(c, ref)):
            await self.forget(ref)

    @asynccontextmanager
    async def new_ingest(self) -> AsyncIterator[Ingest]:
        """An ingest for bytes that are made here and have no digest yet; deleted unless it was committed."""
        ref = f"made-{secrets.token_hex(8)}"
        try:
            ingest = await self.ingest(ref)
            try:
                yield ingest
            finally:
                await finish(ingest.abort)
        finally:
            await to_end(self._forget_unless_ended(ref))

    @asynccontextmanager
    async def lease(self, *, fetch: Digest | None = None) -> AsyncIterator[str]:
        """A lease for the time of the block.

        One for the fetch of the root *fetch* is kept for some time when the block breaks off, because its source
        failed, the disk was full or its caller went away, so that the next try finds what came; and ends with those of
        earlier tries when the block succeeds.
        """
        root = str(fetch) if fetch is not None else ""
        creating = asyncio.ensure_future(self._database.write("lease.create", lambda c: leases.create(c, fetch=root)))
        try:
            lease = await to_end(creating)
        except asyncio.CancelledError:
            if not creating.cancelled() and creating.exception() is None:
                unused = creating.result()
                await to_end(self._end(unused))
            raise
        try:
            yield lease
        except (SourceFailed, DiskFull, asyncio.CancelledError):
            if root:
                await to_end(
                    self._database.write("lease.suspend", lambda c: leases.suspend(c, lease, self._resumable_for))
                )
            else:
                await to_end(self._end(lease))
            raise
        except BaseException:
            await to_end(self._end(lease))
            raise
        await to_end(self._end(lease, fetched=root))

    async def _end(self, lease: str, *, fetched: str = "") -> None:
        """End *lease*, and those of earlier tries to fetch the root *fetched*."""

        def work(connection: sqlite3.Connection) -> list[str]:
            leases.end(connection, lease)
            return leases.end_suspended(connection, fetch=fetched) if fetched else []

        for ended in (lease, *await self._database.write("lease.end", work)):
            self.released(ended)

    async def hold(self, digest: Digest, seconds: float | None = None) -> str:
        """Hold the blob, here or about to be, until an image has it: for *seconds*, or as long as what broke off; the
        lease that does, which outlives the agent. A full disk ends it."""
        duration = self._resumable_for if seconds is None else int(seconds * 10**9)
        return await self._database.write("lease.hold", lambda c: leases.hold_uploaded(c, digest, duration))

    async def let_go(self, digests: Iterable[Digest]) -> None:
        """Hold the blobs no longer."""
        wanted = tuple(digests)
        for ended in await self._database.write("lease.let_go", lambda c: leases.end_uploaded(c, wanted)):
            self.released(ended)

    async def evict(self, *, keep: Collection[str] = (), fetch: Digest | None = None) -> int:
        """Give up what is only kept for a later try: leases of fetches that broke off, but those of the root *fetch*,
        and every partial ingest that nobody writes to and that is not in *keep*.

        How many bytes that freed; collection may free more.
        """
        root = str(fetch) if fetch is not None else ""
        await self._database.write("lease.end_suspended", lambda c: leases.end_other_suspended(c, root))
        async with self._beginning:
            freed = await finish(on_disk.give_up, self.blobs, frozenset(keep))
            await self._end_ingests(freed)
        return sum(freed.values())

    async def _end_ingests(self, refs: Collection[str]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            for ref in refs:
                rows.end_ingest(connection, ref)

        if refs:
            await self._database.write("content.evict", work)

    async def clean(self) -> int:
        """At start: end all leases; delete files without a row, rows of lost ingests, ingests too old; how many."""
        await self._database.write("lease.end_all", lambda c: leases.end_all(c, self._resumable_for))
        known = await self._database.read(rows.all_digests)
        ingests = await self._database.read(rows.ingest_refs)
        oldest = time.time_ns() - self._resumable_for
        removed, lost = await finish(on_disk.sweep, self.blobs, known, ingests, oldest)

        def work(connection: sqlite3.Connection) -> None:
            for ref in lost:
                rows.end_ingest(connection, ref)

        if lost:
            await self._database.write("content.clean", work)
        return removed


def _nobody(_lease: str) -> None:
    """Nobody collects."""


def damaged(digest: Digest) -> DigestMismatch:
    """The error for a blob whose bytes on this host's disk are not those that were stored."""
    return DigestMismatch(
        f"blob {digest} is damaged on this host's disk", hint="load or copy the image again, which repairs it"
    )
