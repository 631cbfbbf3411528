from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import DigestMismatch, NotFound
from jackstay_agent.kernel.threads import finish
from jackstay_agent.metadata import blobs as rows
from jackstay_agent.metadata.database import Database
from jackstay_oci.digest import Digest


@pytest.fixture
async def content(tmp_path: Path) -> AsyncIterator[ContentStore]:
    database = await Database.open(str(tmp_path / "db"))
    yield await asyncio.to_thread(ContentStore, str(tmp_path / "content"), database)
    await database.close()


async def test_what_is_put_is_here_and_reads_back(content: ContentStore) -> None:
    data = bytes(range(256)) * 9000
    async with content.lease() as lease:
        digest = await content.put(data, lease)
    assert await content.has(digest)
    assert await content.has(digest, len(data))
    assert not await content.has(digest, 1)
    assert b"".join([piece async for piece in content.read(digest)]) == data
    assert b"".join([piece async for piece in content.read(digest, 100, 7)]) == data[100:107]


async def test_a_row_without_its_file_counts_as_not_here(content: ContentStore) -> None:
    async with content.lease() as lease:
        digest = await content.put(b"x", lease)
    await asyncio.to_thread(content.blobs.delete, digest)
    assert not await content.has(digest)
    with pytest.raises(NotFound):
        await content.open(digest)


async def test_clean_removes_files_without_rows_and_keeps_what_can_be_resumed(content: ContentStore) -> None:
    stray = await asyncio.to_thread(content.blobs.put, b"a blob that a cut left without its row")
    ingest = await content.ingest("blob-sha256:whatever")
    await asyncio.to_thread(ingest.write, b"half")
    await asyncio.to_thread(ingest.close)
    unknown = await asyncio.to_thread(content.blobs.ingest, "without a row")
    await asyncio.to_thread(unknown.close)
    async with content.lease() as lease:
        kept = await content.put(b"kept", lease)

    assert await content.clean() == 2

    assert not await asyncio.to_thread(content.blobs.has, stray)
    assert await content.has(kept)
    left = await asyncio.to_thread(lambda: [status.ref for status in content.blobs.ingests()])
    assert left == ["blob-sha256:whatever"]
    assert await content.database.read(lambda c: c.execute("SELECT COUNT(*) FROM leases").fetchone()[0]) == 0


async def test_clean_forgets_ingests_that_are_too_old_and_rows_of_lost_ones(content: ContentStore) -> None:
    ingest = await content.ingest("blob-old")
    await asyncio.to_thread(ingest.close)
    await content.database.write("t", lambda c: rows.begin_ingest(c, "blob-lost", None, None))
    aged = await asyncio.to_thread(ContentStore, str(content.blobs.root), content.database, resumable_hours=0)
    await aged.clean()
    assert await content.database.read(rows.ingest_refs) == {}
    assert await asyncio.to_thread(lambda: list(content.blobs.ingests())) == []


async def test_an_ingest_made_here_is_deleted_unless_committed(content: ContentStore) -> None:
    async with content.new_ingest() as ingest:
        await asyncio.to_thread(ingest.write, b"made")
    assert await asyncio.to_thread(lambda: list(content.blobs.ingests())) == []
    assert await content.database.read(rows.ingest_refs) == {}


async def test_a_wrong_digest_is_never_stored(content: ContentStore) -> None:
    wanted = Digest.of(b"right")
    ingest = await content.ingest(f"blob-{wanted}", expected=wanted, total=5)
    await asyncio.to_thread(ingest.write, b"wrong")
    with pytest.raises(DigestMismatch):
        await asyncio.to_thread(ingest.commit)
    assert not await asyncio.to_thread(content.blobs.has, wanted)


async def test_a_caller_who_goes_away_at_any_time_leaves_no_lease_and_no_lock(content: ContentStore) -> None:
    async def work(number: int) -> None:
        async with content.lease(), content.new_ingest():
            (await content.ingest("blob-x")).close()
            await asyncio.sleep(number)

    for number in range(60):
        task = asyncio.create_task(work(60))
        await asyncio.sleep(number / 5000)
        task.cancel()
        await asyncio.wait([task])
        (await content.ingest("blob-x")).close()  # Busy, if somebody still held it
    for table, expected in (("leases", 0), ("ingests", 1)):
        found = await content.database.read(lambda c, t=table: c.execute(f"SELECT count(*) FROM {t}").fetchone()[0])
        assert found == expected, table


async def test_a_caller_who_goes_away_at_any_time_leaves_no_row_without_its_folder(content: ContentStore) -> None:
    for number in range(60):
        task = asyncio.create_task(content.ingest(f"blob-{number}"))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            (await task).close()
    rows_left = set(await content.database.read(rows.ingest_refs))
    folders = await asyncio.to_thread(lambda: {status.ref for status in content.blobs.ingests()})
    assert rows_left == folders


async def test_descriptors_that_nobody_gets_are_closed(content: ContentStore) -> None:
    async with content.lease() as lease:
        digest = await content.put(b"x" * 100, lease)
    os.close(await content.open(digest))
    before = len(os.listdir("/proc/self/fd"))
    for number in range(100):
        task = asyncio.create_task(content.open(digest))
        await asyncio.sleep(number / 100_000)
        task.cancel()
        try:
            os.close(await task)
        except asyncio.CancelledError:
            pass
    assert len(os.listdir("/proc/self/fd")) == before


async def test_ranges_end_where_the_blob_does(content: ContentStore) -> None:
    async with content.lease() as lease:
        digest = await content.put(b"0123456789", lease)
    for offset, length, expected in (
        (8, 10, b"89"),
        (10, 1, b""),
        (1 << 63, 1 << 63, b""),
        (0, (1 << 64) - 1, b"0123456789"),
    ):
        assert b"".join([piece async for piece in content.read(digest, offset, length)]) == expected


async def test_damage_is_found_and_dropped(content: ContentStore) -> None:
    async with content.lease() as lease:
        good, bad = await content.put(b"good", lease), await content.put(b"bad", lease)
        path = content.blobs.path(bad)
        path.chmod(0o600)
        path.write_bytes(b"BAD")
        with pytest.raises(DigestMismatch, match="damaged on this host's disk"):
            await content.read_document(bad)
        assert await content.read_document(good) == b"good"
        assert [await content.drop_if_damaged(digest) for digest in (good, bad, bad)] == [False, True, False]
        assert not await content.has(bad)


async def test_a_blob_that_came_anew_while_its_damage_was_found_stays(
    content: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One finds the damage; before it deletes the file, another has deleted and fetched it."""
    async with content.lease() as lease:
        digest = await content.put(b"what it is", lease)
    path = content.blobs.path(digest)

    def damage() -> None:
        path.chmod(0o600)
        path.write_bytes(b"what it iz")

    await asyncio.to_thread(damage)
    finish = Digest.finish

    def repaired_meanwhile(hashing: Any) -> Digest:
        found = finish(hashing)
        new = path.with_name("new")
        new.write_bytes(b"what it is")
        new.rename(path)
        return found

    monkeypatch.setattr(Digest, "finish", repaired_meanwhile)
    assert not await content.drop_if_damaged(digest)
    monkeypatch.undo()
    assert await content.read_document(digest) == b"what it is"


async def test_of_partial_blobs_the_oldest_are_given_up_when_there_are_too_many(
    content: ContentStore, tmp_path: Path
) -> None:
    small = await asyncio.to_thread(ContentStore, str(tmp_path / "content"), content.database, ingest_bytes=3000)
    for number in range(3):
        ingest = await small.ingest(f"blob-{number}", total=2000)
        await finish(ingest.write, bytes(1000))
        if number != 1:
            await finish(ingest.close)  # the second is still written to
        else:
            held = ingest
    assert [one.ref for one in sorted(await small.ingests(), key=lambda one: one.ref)] == ["blob-1", "blob-2"]
    again = await small.ingest("blob-2", total=2000)  # going on with one takes what it was to take
    assert again.offset == 1000
    await finish(again.close)
    large = await small.ingest("blob-3", total=50_000)
    left = sorted(one.ref for one in await small.ingests())
    assert left == ["blob-1", "blob-3"]
    assert sorted(await content.database.read(rows.ingest_refs)) == left
    for ingest in (held, large):
        await finish(ingest.abort)
