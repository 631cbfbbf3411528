"""What a container changed, as a layer: a blob, and the snapshot that is unpacked of the same bytes.

The two come about at the same time. One child writes the changes as a tar, a thread of the agent writes that to the
blob's file and hashes it, and a second child unpacks the file while it grows. The second is started when there is
something to unpack, so that a container without changes costs nothing of it. Guarantees: the tar is what was written,
since both ends of the pipe have hashed it; a failure leaves neither blob nor snapshot; what is unpacked has come out of
the tar that is stored, as it will on every other host.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import DigestMismatch, Error
from jackstay_agent.kernel.threads import acquire, begin, to_end
from jackstay_agent.layers.snapshotter import Applied, Diffed, Snapshotter
from jackstay_agent.metadata import leases
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.growing import Growth
from jackstay_oci.identity import chain_ids
from jackstay_oci.store.ingest import Ingest

_PIECE = 1 << 20
_ONE_RECORD = 10_240
"""Bytes of the shortest tar, which an empty one has."""
_UNKNOWN = 1 << 62
"""Bytes that no tar has: the file ends where the tar in it does."""


async def commit_layer(
    snapshotter: Snapshotter,
    content: ContentStore,
    container: str,
    parent: Sequence[Digest],
    lease: str,
    still: AbstractAsyncContextManager[None],
) -> Descriptor | None:
    """The changes of the active snapshot *container* as a blob and a snapshot, both held by *lease*; None for none.

    Args:
        parent: the diffIDs of the layers below, lowest first.
        still: the container is left alone while this is entered.

    Raises:
        DigestMismatch: the disk or memory is at fault.
        DiskFull: and what `Snapshotter.diff` and `Snapshotter.apply` raise.
    """
    async with content.new_ingest() as ingest:
        data = await acquire(content.blobs.open_ingest, os.close, ingest.ref)
        async with _Extraction(snapshotter, parent, lease, Growth(data, _UNKNOWN)) as extraction:
            async with still:
                diffed = await _write_diff(snapshotter, container, ingest, extraction)
            if (ingest.digest, ingest.offset) != (diffed.diff_id, diffed.size):
                raise DigestMismatch(f"the changes were written as {diffed.diff_id}, not {ingest.digest}")
            if diffed.empty:
                return None
            extraction.growth.whole(diffed.diff_id)
            extraction.start()
            await content.keep(lease, diffed.diff_id)
            await content.commit(ingest, diffed.diff_id, diffed.size, lease)
            await extraction.commit(diffed.diff_id)
    return Descriptor(media_type=media_types.OCI_LAYER, digest=diffed.diff_id, size=diffed.size)


class _Extraction:
    """The unpacking of what *growth* tells of, as a context: what is not committed in it is gone after it."""

    def __init__(self, snapshotter: Snapshotter, parent: Sequence[Digest], lease: str, growth: Growth) -> None:
        self.growth = growth
        self._snapshotter = snapshotter
        self._parent = parent
        self._lease = lease
        self._key = f"extract-{secrets.token_hex(8)}"
        self._begin = asyncio.Event()
        self._task: asyncio.Task[Applied] | None = None
        self._prepared = False

    async def __aenter__(self) -> _Extraction:
        self._task = asyncio.create_task(self._unpack())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self.growth.stop()
        self._task.cancel()
        await to_end(asyncio.wait([self._task]))
        if not self._task.cancelled():
            self._task.exception()  # taken
        self.growth.close_reader()
        if self._prepared:
            await to_end(self._snapshotter.remove(self._key))

    def start(self) -> None:
        """There is something to unpack. Twice does nothing."""
        self._begin.set()

    async def commit(self, diff_id: Digest) -> None:
        """Wait for the end and give the snapshot its ChainID. Raises what unpacking raised."""
        assert self._task is not None
        applied = await asyncio.shield(self._task)
        name = str(chain_ids([*self._parent, diff_id])[-1])
        committing = self._snapshotter.commit(
            self._key, name, applied, along=lambda c: leases.keep_snapshot(c, self._lease, name)
        )
        await to_end(committing)
        self._prepared = False

    async def _unpack(self) -> Applied:
        await self._begin.wait()
        self._prepared = True  # also when that is cut: its transaction may go on
        parent = str(chain_ids(self._parent)[-1]) if self._parent else None
        await self._snapshotter.prepare(
            self._key, parent, along=lambda c: leases.keep_snapshot(c, self._lease, self._key)
        )
        return await self._snapshotter.apply(self._key, self.growth.data, "none", growth=self.growth.told)


async def _write_diff(snapshotter: Snapshotter, key: str, ingest: Ingest, extraction: _Extraction) -> Diffed:
    """Write the changes of the snapshot *key* into *ingest*, through a pipe, and let *extraction* know."""
    loop = asyncio.get_running_loop()
    reading_end, writing_end = os.pipe2(os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # a lower limit for pipes only makes smaller pieces
        fcntl.fcntl(writing_end, fcntl.F_SETPIPE_SZ, _PIECE)

    def grown() -> None:
        extraction.growth.grown(ingest.offset)
        if ingest.offset > _ONE_RECORD:
            loop.call_soon_threadsafe(extraction.start)

    reading = begin(_drain, reading_end, ingest, grown)
    try:
        diffed = await snapshotter.diff(key, writing_end)
    except Error as error:
        os.close(writing_end)
        await to_end(asyncio.wait([reading]))
        # When the reader failed, the writer's error is only that nobody reads any more.
        if not reading.cancelled() and (cause := reading.exception()) is not None:
            raise cause from error
        raise
    except BaseException:
        os.close(writing_end)
        await to_end(asyncio.wait([reading]))
        raise
    os.close(writing_end)
    await to_end(reading)
    return diffed


def _drain(descriptor: int, ingest: Ingest, grown: Callable[[], None]) -> None:
    """Read *descriptor* to its end, into *ingest*; *grown* is called after each piece."""
    piece = memoryview(bytearray(_PIECE))
    try:
        while count := os.readv(descriptor, [piece]):
            ingest.write(piece[:count])
            grown()
    finally:
        os.close(descriptor)
