"""What a container changed, as a layer: a blob, and the snapshot that is unpacked of the same bytes.

The two come about at the same time. One child writes the changes as a tar to the blob's file, and hashes what it
writes; a second one unpacks the file while it grows. The second is started when there is something to unpack, so that a
container without changes costs nothing of it. Guarantees: a failure leaves neither blob nor snapshot; what is unpacked
has come out of the tar that is stored, as it will on every other host. The bytes never pass through the agent.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import DiskFull
from jackstay_agent.kernel.threads import acquire, to_end
from jackstay_agent.layers.snapshotter import Applied, Diffed, Snapshotter
from jackstay_agent.metadata import leases
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.growing import Growth
from jackstay_oci.identity import chain_ids
from jackstay_oci.store.ingest import Ingest

_EVERY = 0.003
"""Seconds between two looks at how far the file is."""
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
        DigestMismatch: the file is not what was written.
        DiskFull: and what `Snapshotter.diff` and `Snapshotter.apply` raise.
    """
    async with content.new_ingest() as ingest:
        data = await acquire(content.blobs.open_ingest, os.close, ingest.ref)
        async with _Extraction(snapshotter, parent, lease, Growth(data, _UNKNOWN)) as extraction:
            async with still:
                diffed = await _write_diff(snapshotter, container, ingest, extraction)
            if diffed.empty:
                return None
            ingest.adopt(diffed.diff_id, diffed.size)
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
    """Have the changes of the snapshot *key* written into *ingest*, and let *extraction* know how far they are."""
    telling = asyncio.create_task(_tell(ingest.descriptor, extraction))
    try:
        diffed = await snapshotter.diff(key, ingest.descriptor)
    except DiskFull as error:
        raise DiskFull("no space left for what the container changed", hint=error.hint) from error
    finally:
        telling.cancel()
        await asyncio.wait([telling])
    return diffed


async def _tell(file: int, extraction: _Extraction) -> None:
    """Let *extraction* know how far *file* is, again and again. What is there is there to be read."""
    while True:
        size = os.fstat(file).st_size
        extraction.growth.grown(size)
        if size > _ONE_RECORD:
            extraction.start()
        await asyncio.sleep(_EVERY)
