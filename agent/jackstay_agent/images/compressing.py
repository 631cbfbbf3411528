"""Layers that are stored uncompressed, compressed for a registry.

Guarantees: a layer is compressed once for each algorithm, the same bytes give the same bytes, and what came of it is
remembered; a layer that this host's disk has damaged is found out and not sent. The compressed copy is a blob that a
lease holds while it is needed, and that collection may take afterwards; it is not made again for a registry that has
it. At most `AT_ONCE` layers are compressed at the same time, each by at most `THREADS` threads of its own, which take
some 4 MiB each.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, closing
from typing import Literal
from weakref import WeakValueDictionary

import msgspec

from jackstay_agent.content.store import ContentStore, damaged
from jackstay_agent.kernel.threads import begin, to_end
from jackstay_agent.metadata import compressed as rows
from jackstay_oci import media_types
from jackstay_oci.compression import compressing
from jackstay_oci.digest import Digest, hasher
from jackstay_oci.documents import Descriptor
from jackstay_oci.parallel_gzip import Writer, parallel_gzip
from jackstay_oci.registry.pushing import Phase, Report, Step
from jackstay_oci.store.ingest import Ingest

Algorithm = Literal["gzip", "zstd"]
IsThere = Callable[[Digest], Awaitable[bool]]
"""Whether the registry has a blob."""

AT_ONCE = 2
THREADS = min(4, len(os.sched_getaffinity(0)))
_PIECE = 1 << 20
_TOLD = 16 << 20
_GZIP_LEVEL = 2
"""isal's best but one, whose result is a tenth larger than docker's; the best saves 2 % more in twice the time."""
_ZSTD_LEVEL = 3


class Compressor:
    """Compresses layers; one for the whole agent, so that two pushes of one layer compress it once."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content
        self._places = asyncio.Semaphore(AT_ONCE)
        self._turns: WeakValueDictionary[tuple[Digest, str], asyncio.Lock] = WeakValueDictionary()

    async def compress(
        self, layer: Descriptor, algorithm: Algorithm, lease: str, is_there: IsThere, report: Report
    ) -> Descriptor:
        """What the uncompressed *layer* becomes. It is in the registry, as *is_there* says, or here, held by *lease*.

        Raises `DigestMismatch` when the disk gives other bytes than were stored, `DiskFull`, what *is_there* raises.
        """
        turn = self._turns.setdefault((layer.digest, algorithm), asyncio.Lock())
        async with turn:
            known = await self._content.database.read(lambda c: rows.find(c, layer.digest, algorithm))
            if known is None or not (await self._content.keep(lease, known[0]) or await is_there(known[0])):
                async with self._places:
                    known = await self._make(layer, algorithm, lease, report)
        digest, size = known
        kind = media_types.compressed(layer.media_type, algorithm)
        return msgspec.structs.replace(layer, media_type=kind, digest=digest, size=size)

    async def _make(self, layer: Descriptor, algorithm: Algorithm, lease: str, report: Report) -> tuple[Digest, int]:
        loop = asyncio.get_running_loop()

        def tell(done: int) -> None:
            loop.call_soon_threadsafe(report, Step(layer.digest, Phase.COMPRESSING, done, layer.size))

        report(Step(layer.digest, Phase.COMPRESSING, 0, layer.size))
        async with self._content.new_ingest() as ingest:
            descriptor = await self._content.open(layer.digest)
            stop = threading.Event()
            working = begin(_compress, descriptor, ingest, algorithm, tell, stop.is_set)
            try:
                came = await asyncio.shield(working)
            finally:
                stop.set()
                await to_end(asyncio.wait([working]))
                working.exception()  # taken, when the caller has gone
                os.close(descriptor)
            if came != layer.digest:
                await self._content.drop_if_damaged(layer.digest)
                raise damaged(layer.digest)
            digest, size = ingest.digest, ingest.offset

            def along(connection: sqlite3.Connection) -> None:
                rows.remember(connection, layer.digest, algorithm, digest, size)

            await self._content.commit(ingest, digest, size, lease, along=along)
        return digest, size


def _compress(
    source: int, ingest: Ingest, algorithm: Algorithm, tell: Callable[[int], None], stopped: Callable[[], bool]
) -> Digest:
    """Compress the file *source* into *ingest*, until *stopped*; the digest of what was read."""
    hashing = hasher()
    offset = 0
    with _packing(ingest, algorithm) as out:
        while not stopped() and (piece := os.pread(source, _PIECE, offset)):
            hashing.update(piece)
            out.write(piece)
            offset += len(piece)
            if offset % _TOLD == 0:
                tell(offset)
    return Digest.finish(hashing)


def _packing(ingest: Ingest, algorithm: Algorithm) -> AbstractContextManager[Writer]:
    if algorithm == "gzip":
        return parallel_gzip(ingest, level=_GZIP_LEVEL, threads=THREADS)
    return closing(compressing(ingest, algorithm, level=_ZSTD_LEVEL))
