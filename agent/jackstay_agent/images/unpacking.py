"""Unpacking layers: a blob becomes a snapshot under its ChainID.

Guarantees: a layer is unpacked once, however many ask for it at the same time; it gets its ChainID only when its blob
has the digest of its descriptor and its tar the diffID that the image's config promises; a failure leaves no snapshot.
Loading and committing both go this way, so what a commit made here is what any other host will unpack.

A layer that still comes is unpacked along with it (`follow`), also before the layers below are there, where the driver
can attach it to them later. What goes wrong there is not the last word, since the bytes were not known to be right yet:
the layer is then unpacked from the stored blob. So a follower may give up at any time, and does rather than wait: at
most `FOLLOWERS` are at work in the whole agent, and `STORED` more that unpack stored blobs, each a child process. Who
holds the lock of a ChainID waits for layers below it only, and for the bytes of its own; fetching waits for no lock of
these. So nothing waits in a circle.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import DigestMismatch, Error, InvalidArchive, LimitExceeded, NotFound
from jackstay_agent.kernel.threads import to_end
from jackstay_agent.layers.snapshotter import Applied, Snapshotter
from jackstay_agent.metadata import leases
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.growing import Growth

FOLLOWERS = 4
STORED = 2

_log = structlog.get_logger("images")


class Unpacker:
    """Unpacks layers; one for the whole agent, since it keeps two unpackings of one layer apart."""

    def __init__(self, content: ContentStore, snapshotter: Snapshotter) -> None:
        self._content = content
        self._snapshotter = snapshotter
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}
        self._followers = 0
        self._detached: set[Digest] = set()
        self._stored = asyncio.Semaphore(STORED)

    async def unpack(self, chain: Sequence[Digest], diff_id: Digest, layer: Descriptor, lease: str) -> None:
        """Unpack *layer* as the last of *chain* (ChainIDs, lowest first) unless it is here; hold it by *lease*.

        Raises `DigestMismatch` when its tar does not have the *diff_id*, and what `Snapshotter.apply` raises.
        """
        name = str(chain[-1])
        async with self._alone(name):
            if not await self._held(name, lease):
                parent = str(chain[-2]) if len(chain) > 1 else None
                async with self._stored:
                    await self._unpack(name, parent, diff_id, layer, lease)

    async def follow(
        self,
        chain: Sequence[Digest],
        diff_id: Digest,
        layer: Descriptor,
        lease: str,
        growth: Growth,
        below: asyncio.Event,
    ) -> bool:
        """Unpack *layer* while it comes, as `unpack` does; *below* is set once the layers below are committed.

        Whether it is here now; if not, it is to be unpacked once it and what is below are.
        """
        name = str(chain[-1])
        if name in self._locks or self._followers >= FOLLOWERS:
            return False
        self._followers += 1
        try:
            async with self._alone(name):
                if await self._held(name, lease):
                    return True
                try:
                    if below.is_set():
                        parent = str(chain[-2]) if len(chain) > 1 else None
                        await self._follow(name, parent, diff_id, layer, lease, growth)
                        return True
                    if self._snapshotter.detaches and diff_id not in self._detached:
                        await self._follow_detached(chain, diff_id, layer, lease, growth, below)
                        return True
                except Error as error:
                    _log.info(
                        "a layer is to be unpacked once it is whole", layer=str(layer.digest), error=error.message
                    )
        finally:
            self._followers -= 1
        return False

    @asynccontextmanager
    async def _alone(self, name: str) -> AsyncIterator[None]:
        """Keep two at work on one ChainID apart."""
        lock, waiting = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._locks.pop(name)
            if waiting > 1:
                self._locks[name] = (lock, waiting - 1)

    async def _held(self, chain_id: str, lease: str) -> bool:
        """Hold the snapshot by *lease* first and look second, so that collection cannot come between."""
        await self._keep(lease, chain_id)
        try:
            return (await self._snapshotter.stat(chain_id)).kind == "committed"
        except NotFound:
            return False

    async def _keep(self, lease: str, key: str) -> None:
        await self._content.database.write("lease.snapshot", lambda c: leases.keep_snapshot(c, lease, key))

    async def _follow(
        self, name: str, parent: str | None, diff_id: Digest, layer: Descriptor, lease: str, growth: Growth
    ) -> None:
        key = _key(name)
        try:
            await self._snapshotter.prepare(key, parent, along=lambda c: leases.keep_snapshot(c, lease, key))
            applied = await self._apply(key, diff_id, layer, growth)
            await self._snapshotter.commit(key, name, applied, along=lambda c: leases.keep_snapshot(c, lease, name))
        except BaseException:
            await to_end(self._snapshotter.remove(key))
            raise

    async def _follow_detached(
        self,
        chain: Sequence[Digest],
        diff_id: Digest,
        layer: Descriptor,
        lease: str,
        growth: Growth,
        below: asyncio.Event,
    ) -> None:
        """The same for a layer whose parent is not there yet. One at a time is detached of a diffID."""
        name, parent = str(chain[-1]), str(chain[-2])
        key, detached = _key(name), f"detached-{diff_id}"
        self._detached.add(diff_id)
        try:
            await self._snapshotter.remove(detached)  # one that an earlier agent left
            await self._snapshotter.prepare_detached(diff_id, along=lambda c: leases.keep_snapshot(c, lease, detached))
            applied = await self._apply(detached, diff_id, layer, growth)
            await below.wait()
            await self._snapshotter.attach(diff_id, key, parent, along=lambda c: leases.keep_snapshot(c, lease, key))
            await self._snapshotter.commit(key, name, applied, along=lambda c: leases.keep_snapshot(c, lease, name))
        except BaseException:
            await to_end(self._snapshotter.remove(detached))
            await to_end(self._snapshotter.remove(key))
            raise
        finally:
            self._detached.discard(diff_id)

    async def _apply(self, key: str, diff_id: Digest, layer: Descriptor, growth: Growth) -> Applied:
        applied = await self._snapshotter.apply(
            key, growth.data, media_types.layer_compression(layer.media_type), growth=growth.told
        )
        if applied.diff_id != diff_id:
            raise _mismatch(layer, applied.diff_id, diff_id)
        return applied

    async def _unpack(self, name: str, parent: str | None, diff_id: Digest, layer: Descriptor, lease: str) -> None:
        key = _key(name)
        try:
            await self._snapshotter.prepare(key, parent, along=lambda c: leases.keep_snapshot(c, lease, key))
            descriptor = await self._content.open(layer.digest)
            try:
                applied = await self._snapshotter.apply(
                    key, descriptor, media_types.layer_compression(layer.media_type)
                )
            except (InvalidArchive, LimitExceeded) as error:
                raise type(error)(
                    f"layer {layer.digest}: {error.message}", hint=error.hint or "the image is damaged or hostile"
                ) from error
            finally:
                os.close(descriptor)
            if applied.diff_id != diff_id:
                raise _mismatch(layer, applied.diff_id, diff_id)
            await self._snapshotter.commit(key, name, applied, along=lambda c: leases.keep_snapshot(c, lease, name))
        except BaseException:
            # Also after a prepare that was cut: its transaction may have gone on, and the removal comes after it.
            await to_end(self._snapshotter.remove(key))
            raise


def _key(name: str) -> str:
    return f"extract-{secrets.token_hex(8)} {name}"


def _mismatch(layer: Descriptor, actual: Digest, promised: Digest) -> DigestMismatch:
    return DigestMismatch(
        f"layer {layer.digest} unpacks to {actual}, the image's config says {promised}",
        hint="the image is damaged; save or build it anew",
    )
