"""Fetching one blob: from the first source that can give it, resumed, verified, stored once.

Guarantees: a blob whose digest or size is wrong is never stored; what came is kept for the next try, also one after a
restart; two fetches of one blob share one ingest, the second waits for the first. Whoever wants to can read along while
a blob comes (`Growth`), also across sources that fall over one to the next, and learns that it is whole only when its
digest is right; a fetch never waits for such a reader. Memory: what `PieceWriter` holds, beside what
the source buffers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import DigestMismatch, InvalidDocument, LimitExceeded, SourceFailed
from jackstay_agent.fetch.piece_writer import PieceWriter
from jackstay_agent.fetch.progress import Phase, Progress, Report
from jackstay_agent.fetch.source import Source
from jackstay_agent.fetch.told import Begun, Told
from jackstay_agent.kernel.threads import finish
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.store.ingest import Ingest

_REPORT_EVERY = 4 << 20


@dataclass(frozen=True, slots=True)
class Fetched:
    """How a blob came to be here: bytes that moved, bytes that needed not."""

    sent: int
    spared: int


def ingest_of(digest: Digest) -> str:
    """The name of the ingest by which the blob *digest* comes."""
    return f"blob-{digest}"


class BlobFetcher:
    """Fetches blobs into a content store; one for the whole agent, since it keeps two fetches of one blob apart."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content
        self._locks: dict[Digest, tuple[asyncio.Lock, int]] = {}

    async def fetch(
        self, blob: Descriptor, sources: Sequence[Source], lease: str, report: Report, begun: Begun | None = None
    ) -> Fetched:
        """Make *blob* be here, held by *lease*. *begun* is called unless it is here or comes by another call.

        Raises `SourceFailed` when no source could give it (what came is kept), `DigestMismatch` when the last source
        gave other bytes (nothing is kept), `InvalidDocument` when the blob is here and has another size, `DiskFull`.
        """
        async with self._alone(blob.digest):
            if await self._content.keep(lease, blob.digest):
                here = await self._content.size(blob.digest)
                if here != blob.size:
                    raise InvalidDocument(f"blob {blob.digest} has {here} bytes, its descriptor says {blob.size}")
                report(Progress(blob.digest, Phase.PRESENT, blob.size, blob.size))
                return Fetched(0, blob.size)
            return await self._receive(blob, sources, lease, report, begun)

    async def repair(self, blob: Descriptor, sources: Sequence[Source], lease: str, report: Report) -> Fetched | None:
        """Fetch *blob*, which is here and which *lease* holds, again if the disk gives other bytes than were stored.

        None when nothing is wrong with it. Raises what `fetch` raises.
        """
        async with self._alone(blob.digest):
            if not await self._content.drop_if_damaged(blob.digest):
                return None
            return await self._receive(blob, sources, lease, report)

    @asynccontextmanager
    async def _alone(self, digest: Digest) -> AsyncIterator[None]:
        """Keep two at work on one blob apart."""
        lock, waiting = self._locks.get(digest, (asyncio.Lock(), 0))
        self._locks[digest] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._locks.pop(digest)
            if waiting > 1:
                self._locks[digest] = (lock, waiting - 1)

    async def _receive(
        self, blob: Descriptor, sources: Sequence[Source], lease: str, report: Report, begun: Begun | None = None
    ) -> Fetched:
        growing = Told(begun, blob)
        try:
            return await self._from_first(blob, sources, lease, report, growing)
        finally:
            growing.stop()

    async def _from_first(
        self, blob: Descriptor, sources: Sequence[Source], lease: str, report: Report, growing: Told
    ) -> Fetched:
        failures: list[SourceFailed | DigestMismatch] = []
        sent = 0
        left = list(sources)
        while left:
            source = left[0]
            ingest = await self._content.ingest(ingest_of(blob.digest), expected=blob.digest, total=blob.size)
            begun = ingest.offset
            try:
                await growing.begin(self._content, ingest)
                await self._pump(ingest, blob, source, report, growing)
                growing.whole(ingest.digest)
                await self._content.commit(ingest, blob.digest, blob.size, lease)
            except (DigestMismatch, LimitExceeded) as error:
                sent += ingest.offset - begun
                growing.stop()  # what is read along now is not the blob
                await self._content.forget(ingest.ref)
                # What an earlier try left may be what is wrong, or one of several places that the source gets it from.
                if begun or source.distrust(blob.digest):
                    continue  # the same source begins anew
                failures.append(
                    DigestMismatch(
                        f"{source.name} gave wrong bytes for {blob.digest}: {error.message}",
                        hint="the source is damaged; save or build the image anew there",
                    )
                )
            except SourceFailed as error:
                sent += ingest.offset - begun
                failures.append(error)
            else:
                sent += ingest.offset - begun
                report(Progress(blob.digest, Phase.RECEIVED, blob.size, blob.size))
                return Fetched(sent, blob.size - sent if sent < blob.size else 0)
            finally:
                await finish(ingest.close)
            left.pop(0)
        if not failures:
            raise SourceFailed(f"nothing gives {blob.digest}", hint="name a source that has the image")
        raise failures[-1]

    async def _pump(self, ingest: Ingest, blob: Descriptor, source: Source, report: Report, growing: Told) -> None:
        reported = -_REPORT_EVERY
        if ingest.offset < blob.size:
            async with (
                PieceWriter(ingest, growing) as writer,
                aclosing(source.read(blob.digest, ingest.offset, blob.size - ingest.offset)) as pieces,
            ):
                async for piece in pieces:
                    await writer.write(piece)
                    if ingest.offset - reported >= _REPORT_EVERY:
                        reported = ingest.offset
                        report(Progress(blob.digest, Phase.RECEIVING, ingest.offset, blob.size))
                await writer.finish()
        if ingest.offset < blob.size:
            raise SourceFailed(f"{source.name} ended {blob.digest} at byte {ingest.offset} of {blob.size}")
