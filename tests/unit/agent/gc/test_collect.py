"""Collection, on a real database, store and snapshotter (root needed)."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from pathlib import Path

import pytest

from jackstay_agent.config import Limits
from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import DiskFull, SourceFailed
from jackstay_agent.gc.collect import Collected, Collector
from jackstay_agent.gc.mark import GRACE
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers.overlay import OverlaySnapshotter
from jackstay_agent.layers.snapshotter import Applied
from jackstay_agent.metadata import blobs, images, leases
from jackstay_agent.metadata.database import Database
from jackstay_oci.digest import Digest


class State:
    """A database, a store, a snapshotter, and the collector over them."""

    def __init__(self, root: Path, database: Database, jobs: Spawner, mounts: Mounts) -> None:
        self.root = root
        self.database = database
        self.content = ContentStore(str(root / "content"), database)
        self.layers = OverlaySnapshotter(str(root / "layers"), database, jobs, mounts, Limits())
        self.collector = Collector(database, self.content, self.layers)

    async def blob(self, text: str, *children: Digest) -> Digest:
        """A blob that nothing holds."""
        data = text.encode()
        async with self.content.lease() as lease:
            return await self.content.put(data, lease, refers_to=children)

    async def image(self, name: str, *layers: str) -> Digest:
        """An image named *name* of *layers*, each of which is a blob and a snapshot."""
        digests = [await self.blob(layer) for layer in layers]
        parent = None
        for layer in layers:
            await self.snapshot(layer, parent)
            parent = layer
        config = await self.blob(f"config of {name}")
        manifest = await self.blob(f"manifest of {name}", config, *digests)

        def work(connection: sqlite3.Connection) -> None:
            images.insert(
                connection, root=manifest, media_type="x", manifest=manifest, image_id=config,
                chain_id=parent or "", created=0, stored=0, labels={},
            )  # fmt: skip

        await self.database.write("test", work)
        return manifest

    async def snapshot(self, name: str, parent: str | None) -> None:
        """A committed snapshot of 1000 bytes that nothing holds."""
        await self.layers.prepare(f"extract-{name}", parent)
        await self.layers.commit(f"extract-{name}", name, Applied(Digest.of(name.encode()), 1000, 1))

    async def keys(self) -> list[str]:
        """The keys of all snapshots; every one has its folder and every folder its row."""
        found = await self.database.read(lambda c: c.execute("SELECT id, key FROM snapshots").fetchall())
        assert sorted(os.listdir(self.root / "layers/snapshots")) == sorted(str(row["id"]) for row in found)
        return sorted(row["key"] for row in found)

    async def blobs(self) -> set[str]:
        """All blobs; every one has its file and every file its row."""
        found = await self.database.read(blobs.all_digests)
        walked = await asyncio.to_thread(lambda: {str(digest) for digest, _size in self.content.blobs.walk()})
        assert walked == found
        return found


@pytest.fixture
async def state(tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts) -> State:
    return await asyncio.to_thread(State, tmp_path, database, jobs, mounts)


async def test_what_an_image_names_is_kept_and_the_rest_goes(state: State) -> None:
    root = await state.image("one", "base", "top")
    await state.blob("lost")
    await state.snapshot("stray", "base")
    await state.snapshot("stray-2", "stray")
    assert await state.collector.collect() == Collected(1, 2, len("lost") + 2000)
    assert await state.keys() == ["base", "top"]
    assert len(await state.blobs()) == 4
    await state.database.write("test", lambda c: images.delete(c, root))
    collected = await state.collector.collect()
    assert (collected.blobs, collected.snapshots) == (4, 2)
    assert await state.keys() == []
    assert await state.blobs() == set()
    assert await state.collector.collect() == Collected(0, 0, 0)


async def test_what_two_images_share_stays_until_both_are_gone(state: State) -> None:
    one = await state.image("one", "base")
    shared = await state.blob("base")
    config = await state.blob("config of two")
    two = await state.blob("manifest of two", config, shared)

    def work(connection: sqlite3.Connection) -> None:
        images.insert(
            connection, root=two, media_type="x", manifest=two, image_id=config, chain_id="base", created=0, stored=0,
            labels={},
        )  # fmt: skip
        images.delete(connection, one)

    await state.database.write("test", work)
    await state.collector.collect()
    assert await state.keys() == ["base"]
    assert await state.blobs() == {shared, config, two}


async def test_a_lease_keeps_a_blob_with_what_it_names_and_a_snapshot_with_what_it_rests_on(state: State) -> None:
    inner = await state.blob("inner")
    outer = await state.blob("outer", inner)
    await state.snapshot("base", None)
    await state.snapshot("top", "base")
    lease = await state.database.write("test", leases.create)

    def hold(connection: sqlite3.Connection) -> None:
        leases.keep_blob(connection, lease, outer)
        leases.keep_snapshot(connection, lease, "top")

    await state.database.write("test", hold)
    assert await state.collector.collect() == Collected(0, 0, 0)
    await state.database.write("test", lambda c: leases.end(c, lease))
    collected = await state.collector.collect()
    assert (collected.blobs, collected.snapshots) == (2, 2)


async def test_a_lease_that_has_run_out_keeps_nothing(state: State) -> None:
    digest = await state.blob("x")
    lease = await state.database.write("test", leases.create)
    await state.database.write("test", lambda c: leases.suspend(c, lease, -1))
    await state.database.write("test", lambda c: leases.keep_blob(c, lease, digest))
    assert (await state.collector.collect()).blobs == 1
    assert await state.database.read(lambda c: c.execute("SELECT count(*) FROM leases").fetchone()[0]) == 0


async def test_what_an_ingest_is_bringing_is_kept(state: State) -> None:
    digest = await state.blob("x")
    await state.database.write("test", lambda c: blobs.begin_ingest(c, "ref", digest, None))
    assert (await state.collector.collect()).blobs == 0
    await state.database.write("test", lambda c: blobs.end_ingest(c, "ref"))
    assert (await state.collector.collect()).blobs == 1


async def test_what_somebody_writes_to_is_kept_with_what_it_rests_on(state: State) -> None:
    await state.snapshot("base", None)
    await state.layers.prepare("extract-1 next", "base")
    await state.layers.prepare("container-1", "base")
    assert (await state.collector.collect()).snapshots == 0
    # An hour later: an extraction may still be going on; a container's snapshot has its container, or nobody.
    old = time.time_ns() - GRACE - 1
    await state.database.write("test", lambda c: c.execute("UPDATE snapshots SET created = ?", (old,)))
    assert (await state.collector.collect()).snapshots == 1
    assert await state.keys() == ["base", "extract-1 next"]


async def test_a_container_keeps_its_image_and_its_snapshot(state: State) -> None:
    root = await state.image("one", "base")
    await state.layers.prepare("container-1", "base")

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE snapshots SET created = 0")
        connection.execute(
            "INSERT INTO containers (id, name, image, image_root, image_id, snapshot, config, state, created)"
            " SELECT '1', 'n', 'i', root, image_id, 'container-1', '{}', 'exited', 0 FROM images WHERE root = ?",
            (str(root),),
        )

    await state.database.write("test", work)
    assert await state.collector.collect() == Collected(0, 0, 0)


async def test_a_blob_that_is_leased_after_its_row_went_keeps_its_file(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = await state.blob("x")
    delete_files = state.collector._delete_files

    async def lease_first(digests: list[Digest]) -> None:
        lease = await state.database.write("test", leases.create)
        await state.database.write("test", lambda c: leases.keep_blob(c, lease, digest))
        await delete_files(digests)

    monkeypatch.setattr(state.collector, "_delete_files", lease_first)
    await state.collector.collect()
    assert state.content.blobs.has(digest)


async def test_loads_beside_collections_lose_nothing(state: State) -> None:
    """Content comes and is leased, looked for and recorded while collections run without a pause."""
    stop = asyncio.Event()

    async def collect() -> None:
        while not stop.is_set():
            await state.collector.collect()

    async def load(worker: int) -> None:
        for turn in range(15):
            async with state.content.lease() as lease:
                digests = []
                for text in ("shared", f"own {worker}", f"turn {turn}"):
                    digest = Digest.of(text.encode())
                    if not await state.content.keep(lease, digest):
                        await state.content.put(text.encode(), lease)
                    digests.append(digest)
                await asyncio.sleep(0)
                for digest in digests:
                    assert await state.content.has(digest)

    collecting = [asyncio.create_task(collect()) for _ in range(2)]
    await asyncio.gather(*(load(worker) for worker in range(4)))
    stop.set()
    await asyncio.gather(*collecting)
    await state.collector.collect()
    assert await state.blobs() == set()


async def test_a_caller_who_goes_away_does_not_cut_a_collection(state: State) -> None:
    for number in range(200):
        await state.blob(str(number))
    collecting = asyncio.create_task(state.collector.collect())
    while await state.database.read(blobs.all_digests):
        await asyncio.sleep(0)
    collecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await collecting
    assert await state.blobs() == set()


async def test_what_a_lease_kept_from_a_collection_goes_when_the_lease_ends(state: State) -> None:
    digest = await state.blob("x")
    async with state.content.lease() as lease:
        await state.content.keep(lease, digest)
        assert (await state.collector.collect()).blobs == 0
    await state.collector.settle()
    assert await state.blobs() == set()


async def test_what_a_fetch_that_broke_off_kept_goes_when_a_later_try_succeeds(state: State) -> None:
    root = Digest.of(b"the image")

    async def cut() -> None:
        async with state.content.lease(fetch=root) as lease:
            await state.content.put(b"of another platform", lease)
            raise SourceFailed("cut")

    with pytest.raises(SourceFailed):
        await cut()
    await state.collector.collect()
    assert await state.blobs()
    async with state.content.lease(fetch=root):
        pass
    await state.collector.settle()
    assert not await state.blobs()


async def test_the_end_of_a_lease_that_no_collection_met_costs_none(state: State) -> None:
    digest = await state.blob("x")
    async with state.content.lease() as lease:
        await state.content.keep(lease, digest)
    await state.collector.settle()
    assert await state.blobs() == {digest}


async def test_a_file_that_was_leased_in_the_moment_its_row_went_is_collected_once_that_lease_ends(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetch leases a blob between the two transactions of a collection, and fails before it records the blob."""
    digest = await state.blob("x")
    delete_files = state.collector._delete_files
    holding = state.content.lease()

    async def lease_first(digests: list[Digest]) -> None:
        lease = await holding.__aenter__()
        assert not await state.content.keep(lease, digest)
        monkeypatch.setattr(state.collector, "_delete_files", delete_files)
        await delete_files(digests)

    monkeypatch.setattr(state.collector, "_delete_files", lease_first)
    await state.collector.collect()
    assert state.content.blobs.has(digest)
    await holding.__aexit__(None, None, None)
    await state.collector.settle()
    assert not state.content.blobs.has(digest)


async def test_a_collection_that_becomes_due_while_another_runs_is_done_after_it(state: State) -> None:
    state.collector.soon()
    await asyncio.sleep(0)
    digest = await state.blob("x")
    state.collector.soon()
    await state.collector.settle()
    assert not await state.content.has(digest)


async def test_what_a_failed_collection_left_goes_with_the_next(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = await state.blob("x")
    await state.snapshot("stray", None)

    async def full(_digests: list[Digest]) -> None:
        raise DiskFull("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(state.collector, "_delete_files", full)
        with pytest.raises(DiskFull):
            await state.collector.collect()
    assert state.content.blobs.has(digest)
    await state.collector.collect()
    assert await state.blobs() == set()
    assert await state.keys() == []
