"""A slow stream is helped by others beside it, a fast one is left alone; what was asked for in vain is let go."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import aclosing

import pytest

from jackstay_agent.errors import SourceFailed
from jackstay_agent.fetch.ranges import AHEAD, RANGE
from jackstay_agent.fetch.registry import JUDGED, SLOW, RegistrySource
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.registry.registry import Document
from tests.unit.agent.images.memory_registry import PIECE, MemoryRegistry
from tests.unit.oci.registry.serving import REPOSITORY, Registry, client, serving

LAYER = os.urandom(5) * (24 << 20 >> 2)  # 30 MiB
DIGEST = Digest.of(LAYER)
INDEX = b'{"schemaVersion":2,"manifests":[]}'


class Clock:
    """Each piece takes *seconds*."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now = seconds, 0.0

    def __call__(self) -> float:
        self.now += self.seconds
        return self.now


def source(registry: MemoryRegistry, clock: Callable[[], float]) -> RegistrySource:
    media_type = "application/vnd.oci.image.index.v1+json"
    root = Document(Descriptor(media_type=media_type, digest=Digest.of(INDEX), size=len(INDEX)), INDEX)
    return RegistrySource(registry, "registry", "app", root, clock)  # type: ignore[arg-type]


async def read(of: RegistrySource, digest: Digest = DIGEST, length: int = len(LAYER)) -> bytes:
    return b"".join([piece async for piece in of.read(digest, 0, length)])


async def test_a_fast_stream_stays_one() -> None:
    registry = MemoryRegistry(blobs={DIGEST: LAYER})
    assert await read(source(registry, Clock(PIECE / SLOW * 0.9))) == LAYER
    assert len(registry.asked) == 1


async def test_a_slow_stream_goes_on_in_ranges_at_once_and_in_order() -> None:
    registry = MemoryRegistry(blobs={DIGEST: LAYER})
    of = source(registry, Clock(PIECE / SLOW * 1.1))
    assert await read(of) == LAYER
    ranges = [f"blob {DIGEST} {at}+{min(RANGE, len(LAYER) - at)}" for at in range(JUDGED, len(LAYER), RANGE)]
    assert registry.asked == [f"blob {DIGEST} 0+{len(LAYER)}", *ranges]
    assert registry.most == AHEAD
    assert (of.given, registry.open) == (len(LAYER), 0)


async def test_a_slow_registry_that_ignores_ranges_is_asked_once() -> None:
    image = Registry(LAYER[: 12 << 20], ranges=False)
    async with serving(image) as server, client(server) as registry:
        root = Document(image.descriptor, image.manifest)
        of = RegistrySource(registry, server.name, REPOSITORY, root, Clock(1.0))
        assert await read(of, image.layer_digest, len(image.layer)) == image.layer
    assert len(server.seen) == 1


async def test_a_small_rest_is_not_worth_it() -> None:
    registry = MemoryRegistry(blobs={DIGEST: LAYER})
    await read(source(registry, Clock(1.0)), length=2 * JUDGED)
    assert len(registry.asked) == 1


async def test_no_more_ranges_are_ahead_however_many_blobs_come_at_once() -> None:
    blobs = {Digest.of(data): data for data in (bytes([number]) + LAYER for number in range(3))}
    registry = MemoryRegistry(blobs=blobs)
    of = source(registry, Clock(1.0))
    results = await asyncio.gather(*(read(of, digest, len(data)) for digest, data in blobs.items()))
    assert results == list(blobs.values())
    assert registry.most <= AHEAD


async def test_a_reader_who_leaves_stops_every_range_and_the_next_has_all_places() -> None:
    registry = MemoryRegistry(blobs={DIGEST: LAYER})
    of = source(registry, Clock(1.0))
    for _ in range(AHEAD + 1):
        async with aclosing(of.read(DIGEST, 0, len(LAYER))) as pieces:
            came = 0
            async for piece in pieces:
                came += len(piece)
                if came > JUDGED + 2 * RANGE:
                    break
        assert registry.open == 0
    assert await read(of) == LAYER


async def test_bytes_before_a_range_that_fails_are_given_first() -> None:
    registry = MemoryRegistry(blobs={DIGEST: LAYER}, breaks_after=10 * RANGE)
    came = bytearray()

    async def take() -> None:
        async for piece in source(registry, Clock(1.0)).read(DIGEST, 0, len(LAYER)):
            came.extend(piece)

    with pytest.raises(SourceFailed, match="broke"):
        await take()
    assert came == LAYER[: 10 * RANGE]
    assert registry.open == 0
