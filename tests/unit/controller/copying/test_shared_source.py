"""Many readers, one read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from jackstay.copying.shared_source import AHEAD, KEEP, SharedSource
from jackstay.copying.sources import PIECE, Blob, SourceImage
from jackstay.errors import NotFound, Unreachable

DATA = os.urandom(3 * PIECE + 17)
IMAGE = SourceImage(Blob("sha256:a", len(DATA)), (), ())


class CountingSource:
    name, via = "web1", "relay"

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.reads: list[tuple[int, int]] = []
        self.failures = 0

    async def read(self, digest: str, offset: int, length: int) -> AsyncIterator[bytes]:
        self.reads.append((offset, length))
        await asyncio.sleep(0.01)
        if self.failures:
            self.failures -= 1
            raise Unreachable("web1 is gone")
        for at in range(offset, offset + length, 100_000):
            yield self.data[at : min(at + 100_000, offset + length)]


async def everything(source: SharedSource, offset: int, length: int) -> bytes:
    return b"".join([piece async for piece in source.read("sha256:a", offset, length)])


def shared(source: CountingSource) -> SharedSource:
    return SharedSource(source, [IMAGE])  # type: ignore[arg-type]  # what is not used is left out


async def test_the_same_ranges_are_read_once() -> None:
    source = CountingSource()
    many = shared(source)
    results = await asyncio.gather(*(everything(many, 0, len(DATA)) for _ in range(10)), everything(many, 5, PIECE))
    assert results[:10] == [DATA] * 10
    assert results[10] == DATA[5 : 5 + PIECE]
    assert source.reads == [(0, PIECE), (PIECE, PIECE), (2 * PIECE, PIECE), (3 * PIECE, 17)]
    await many.close()


async def test_a_reader_that_leaves_does_not_disturb_the_others() -> None:
    source = CountingSource()
    many = shared(source)
    leaving = asyncio.create_task(everything(many, 0, 10))
    staying = asyncio.create_task(everything(many, 0, 10))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == DATA[:10]
    assert len(source.reads) == 1
    await many.close()


async def test_a_failure_is_told_to_all_and_not_kept() -> None:
    source = CountingSource()
    source.failures = 1
    many = shared(source)
    results = await asyncio.gather(*(everything(many, 0, 10) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [Unreachable] * 3
    assert await everything(many, 0, 10) == DATA[:10]
    await many.close()


async def test_a_far_source_is_not_waited_for_piece_by_piece() -> None:
    source = CountingSource()
    many = shared(source)
    pieces = many.read("sha256:a", 0, len(DATA))
    await anext(aiter(pieces))
    assert len(source.reads) == 4
    await many.close()


async def test_what_was_not_asked_for_is_not_read() -> None:
    source = CountingSource()
    many = shared(source)
    assert await everything(many, 10, PIECE) == DATA[10 : 10 + PIECE]
    assert source.reads == [(0, PIECE), (PIECE, PIECE)]
    await many.close()


async def test_memory_is_bounded() -> None:
    data = bytes((KEEP + 10) * PIECE)
    source = CountingSource(data)
    many = SharedSource(source, [SourceImage(Blob("sha256:a", len(data)), (), ())])  # type: ignore[arg-type]
    async for _ in many.read("sha256:a", 0, len(data)):
        assert len(many._pieces) <= KEEP + AHEAD + 1
    await many.close()
    assert not many._pieces


async def test_blobs_of_other_images_are_refused() -> None:
    with pytest.raises(NotFound):
        _ = [piece async for piece in shared(CountingSource()).read("sha256:other", 0, 1)]
