"""Unpacking layers: a blob becomes a snapshot under its ChainID.

Guarantees: a layer is unpacked once, however many ask for it at the same time; it gets its ChainID only when its tar
has the diffID that the image's config promises; a failure leaves no snapshot. Loading and committing both go this way,
so what a commit made here is what any other host will unpack.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Sequence

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import DigestMismatch, InvalidArchive, LimitExceeded, NotFound
from jackstay_agent.kernel.threads import to_end
from jackstay_agent.layers.snapshotter import Snapshotter
from jackstay_agent.metadata import leases
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor


class Unpacker:
    """Unpacks layers; one for the whole agent, since it keeps two unpackings of one layer apart."""

    def __init__(self, content: ContentStore, snapshotter: Snapshotter) -> None:
        self._content = content
        self._snapshotter = snapshotter
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    async def unpack(self, chain: Sequence[Digest], diff_id: Digest, layer: Descriptor, lease: str) -> None:
        """Unpack *layer* as the last of *chain* (ChainIDs, lowest first) unless it is here; hold it by *lease*.

        Raises `DigestMismatch` when its tar does not have the *diff_id*, and what `Snapshotter.apply` raises.
        """
        name = str(chain[-1])
        lock, waiting = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = (lock, waiting + 1)
        try:
            async with lock:
                if not await self._held(name, lease):
                    parent = str(chain[-2]) if len(chain) > 1 else None
                    await self._unpack(name, parent, diff_id, layer, lease)
        finally:
            lock, waiting = self._locks.pop(name)
            if waiting > 1:
                self._locks[name] = (lock, waiting - 1)

    async def _held(self, chain_id: str, lease: str) -> bool:
        """Hold the snapshot by *lease* first and look second, so that collection cannot come between."""
        await self._content.database.write("lease.snapshot", lambda c: leases.keep_snapshot(c, lease, chain_id))
        try:
            return (await self._snapshotter.stat(chain_id)).kind == "committed"
        except NotFound:
            return False

    async def _unpack(self, name: str, parent: str | None, diff_id: Digest, layer: Descriptor, lease: str) -> None:
        key = f"extract-{secrets.token_hex(8)} {name}"
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
                raise DigestMismatch(
                    f"layer {layer.digest} unpacks to {applied.diff_id}, the image's config says {diff_id}",
                    hint="the image is damaged; save or build it anew",
                )
            await self._snapshotter.commit(key, name, applied, along=lambda c: leases.keep_snapshot(c, lease, name))
        except BaseException:
            # Also after a prepare that was cut: its transaction may have gone on, and the removal comes after it.
            await to_end(self._snapshotter.remove(key))
            raise
