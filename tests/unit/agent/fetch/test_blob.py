from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import DigestMismatch, DiskFull, SourceFailed
from jackstay_agent.fetch.blob import BlobFetcher
from jackstay_agent.fetch.progress import Phase, Progress
from jackstay_agent.metadata import blobs as rows
from jackstay_agent.metadata.database import Database
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.store.ingest import Ingest

DATA = bytes(range(251)) * 5000


class FakeSource:
    """Gives `data`, in pieces of 1,000 bytes, up to byte `until`, then fails; notes what it was asked for."""

    def __init__(self, data: bytes, name: str = "fake", until: int | None = None, then: bytes = b"") -> None:
        self.name = name
        self._then = then  # what it gives instead once it was told that its bytes are wrong
        self.asked: list[tuple[int, int]] = []
        self._data = data
        self._until = len(data) if until is None else until

    async def read(self, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        self.asked.append((offset, length))
        while offset < min(self._until, len(self._data)):
            piece = self._data[offset : min(offset + 1000, self._until)]
            offset += len(piece)
            await asyncio.sleep(0)
            yield piece
        if offset < len(self._data):
            raise SourceFailed(f"{self.name} broke")

    def distrust(self, digest: Digest) -> bool:
        self._data, self._then = self._then, b""
        return bool(self._data)


@pytest.fixture
async def content(tmp_path: Path) -> AsyncIterator[ContentStore]:
    database = await Database.open(str(tmp_path / "db"))
    yield await asyncio.to_thread(ContentStore, str(tmp_path / "content"), database)
    await database.close()


def blob(data: bytes = DATA) -> Descriptor:
    return Descriptor(media_type="application/octet-stream", digest=Digest.of(data), size=len(data))


async def fetch(content: ContentStore, wanted: Descriptor, *sources: FakeSource) -> tuple[int, int, list[Phase]]:
    steps: list[Progress] = []
    async with content.lease() as lease:
        fetched = await BlobFetcher(content).fetch(wanted, sources, lease, steps.append)
    return fetched.sent, fetched.spared, [step.phase for step in steps]


async def test_a_blob_comes_once(content: ContentStore) -> None:
    source = FakeSource(DATA)
    assert (await fetch(content, blob(), source))[:2] == (len(DATA), 0)
    assert await content.has(Digest.of(DATA), len(DATA))
    sent, spared, phases = await fetch(content, blob(), source)
    assert (sent, spared, phases) == (0, len(DATA), [Phase.PRESENT])
    assert source.asked == [(0, len(DATA))]


async def test_the_next_source_goes_on_where_the_first_broke(content: ContentStore) -> None:
    first, second = FakeSource(DATA, until=500_000), FakeSource(DATA)
    sent, spared, _ = await fetch(content, blob(), first, second)
    assert (sent, spared) == (len(DATA), 0)
    assert second.asked == [(500_000, len(DATA) - 500_000)]


async def test_a_later_try_resumes(content: ContentStore) -> None:
    with pytest.raises(SourceFailed, match="broke"):
        await fetch(content, blob(), FakeSource(DATA, until=700_000))
    source = FakeSource(DATA)
    sent, spared, _ = await fetch(content, blob(), source)
    assert source.asked == [(700_000, len(DATA) - 700_000)]
    assert (sent, spared) == (len(DATA) - 700_000, 700_000)


async def test_wrong_bytes_are_not_stored_and_a_good_source_begins_anew(content: ContentStore) -> None:
    bad, good = FakeSource(b"x" * len(DATA), name="bad"), FakeSource(DATA)
    await fetch(content, blob(), bad, good)
    assert good.asked == [(0, len(DATA))]
    other = b"other" * 1000
    with pytest.raises(DigestMismatch, match="bad gave wrong bytes"):
        await fetch(content, blob(other), FakeSource(b"x" * len(other), name="bad"))
    assert not await content.has(Digest.of(other))
    assert await asyncio.to_thread(lambda: list(content.blobs.ingests())) == []


async def test_a_source_that_knows_another_place_is_asked_again_before_the_next_one(content: ContentStore) -> None:
    mirrored, next_one = FakeSource(b"x" * len(DATA), then=DATA), FakeSource(DATA)
    assert (await fetch(content, blob(), mirrored, next_one))[0] == 2 * len(DATA)
    assert mirrored.asked == [(0, len(DATA))] * 2
    assert next_one.asked == []


async def test_what_an_earlier_try_left_wrong_is_not_the_sources_fault(content: ContentStore) -> None:
    with pytest.raises(SourceFailed):
        await fetch(content, blob(), FakeSource(b"x" * len(DATA), until=600_000))
    good = FakeSource(DATA)
    assert (await fetch(content, blob(), good))[0] == len(DATA) + len(DATA) - 600_000
    assert good.asked == [(600_000, len(DATA) - 600_000), (0, len(DATA))]


async def test_wrong_bytes_after_a_broken_source_leave_no_row(content: ContentStore) -> None:
    with pytest.raises(DigestMismatch):
        await fetch(content, blob(), FakeSource(DATA, until=1000), FakeSource(b"x" * len(DATA)))
    assert await content.database.read(rows.ingest_refs) == {}
    assert await asyncio.to_thread(lambda: list(content.blobs.ingests())) == []


async def test_a_caller_cut_in_the_commit_leaves_file_and_row(
    content: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = asyncio.Event()
    loop = asyncio.get_running_loop()
    commit = Ingest.commit

    def slow(ingest: Ingest, *arguments: Any) -> Digest:
        digest = commit(ingest, *arguments)
        loop.call_soon_threadsafe(committed.set)
        time.sleep(0.1)
        return digest

    monkeypatch.setattr(Ingest, "commit", slow)
    task = asyncio.create_task(fetch(content, blob(), FakeSource(DATA)))
    await committed.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await content.has(Digest.of(DATA))
    assert await content.database.read(rows.ingest_refs) == {}


async def test_two_fetches_of_one_blob_share_it(content: ContentStore) -> None:
    fetcher, source = BlobFetcher(content), FakeSource(DATA)
    async with content.lease() as lease:
        results = await asyncio.gather(*(fetcher.fetch(blob(), [source], lease, lambda _: None) for _ in range(10)))
    assert sorted(result.sent for result in results) == [0] * 9 + [len(DATA)]
    assert len(source.asked) == 1


async def test_a_cancelled_fetch_can_go_on(content: ContentStore) -> None:
    class Stuck(FakeSource):
        async def read(self, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
            yield DATA[:1000]
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(fetch(content, blob(), Stuck(DATA)), 0.3)
    source = FakeSource(DATA)
    await fetch(content, blob(), source)
    assert source.asked == [(1000, len(DATA) - 1000)]


async def test_a_blob_of_no_bytes(content: ContentStore) -> None:
    source = FakeSource(b"")
    assert (await fetch(content, blob(b""), source))[:2] == (0, 0)
    assert source.asked == []


async def test_after_an_error_nothing_more_is_written(content: ContentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces wait behind the one that fails; were they written, the ingest would have a hole that nobody knows of."""
    write, calls = Ingest.write, 0

    def full_once(ingest: Ingest, piece: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 5:
            time.sleep(0.05)  # so that others wait
            raise DiskFull("no space left")
        return write(ingest, piece)

    monkeypatch.setattr(Ingest, "write", full_once)
    with pytest.raises(DiskFull):
        await fetch(content, blob(), FakeSource(DATA))
    assert calls == 5
    (left,) = await asyncio.to_thread(lambda: list(content.blobs.ingests()))
    assert left.offset == 4000
    source = FakeSource(DATA)
    await fetch(content, blob(), source)
    assert source.asked == [(4000, len(DATA) - 4000)]
