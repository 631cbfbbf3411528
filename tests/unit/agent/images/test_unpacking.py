"""Unpacking: once, whoever asks; never under a wrong name; nothing left of a failure."""

from __future__ import annotations

import asyncio

import pytest

from jackstay_agent.errors import DigestMismatch, InvalidArchive, NotFound
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.identity import chain_ids
from tests.unit.agent.images.image_host import ImageHost, tar

A = tar({"a": b"a" * 100_000})
DIFF = Digest.of(A)
CHAIN = chain_ids([DIFF])
LAYER = Descriptor(media_type=media_types.OCI_LAYER, digest=DIFF, size=len(A))


async def test_ten_who_ask_at_once_get_one_snapshot(host: ImageHost) -> None:
    async with host.content.lease() as lease, host.content.lease() as other:
        await host.content.put(A, lease)
        await asyncio.gather(*(host.unpacker.unpack(CHAIN, DIFF, LAYER, each) for each in [lease, other] * 5))
        held = await host.column("SELECT COUNT(*) FROM lease_items WHERE kind = 'snapshot' AND key = ?", str(CHAIN[0]))
        assert held == [2]
    assert await host.column("SELECT MAX(id) FROM snapshots") == [1]
    await host.whole()


async def test_what_is_held_outlives_a_collection(host: ImageHost) -> None:
    async with host.content.lease() as lease:
        await host.content.put(A, lease)
        await host.unpacker.unpack(CHAIN, DIFF, LAYER, lease)
        await host.collector.collect()
        assert await host.column("SELECT key FROM snapshots") == [str(CHAIN[0])]
    await host.collector.collect()
    assert await host.column("SELECT key FROM snapshots") == []


async def test_failures_leave_nothing(host: ImageHost) -> None:
    async with host.content.lease() as lease:
        with pytest.raises(NotFound):
            await host.unpacker.unpack(CHAIN, DIFF, LAYER, lease)
        await host.content.put(A, lease)
        wrong = chain_ids([Digest.of(b"x")])
        with pytest.raises(DigestMismatch, match=f"unpacks to {DIFF}"):
            await host.unpacker.unpack(wrong, Digest.of(b"x"), LAYER, lease)
        junk = Descriptor(
            media_type=media_types.OCI_LAYER, digest=await host.content.put(b"junk" * 999, lease), size=3996
        )
        with pytest.raises(InvalidArchive):
            await host.unpacker.unpack(wrong, Digest.of(b"x"), junk, lease)
        with pytest.raises(NotFound, match="no committed snapshot"):  # its parent is not here
            await host.unpacker.unpack([*wrong, *CHAIN], DIFF, LAYER, lease)
    assert await host.column("SELECT key FROM snapshots") == []
    await host.whole()
