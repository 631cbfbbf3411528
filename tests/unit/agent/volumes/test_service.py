from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.errors import InUse, InvalidArgument, NotFound
from jackstay_agent.metadata.database import Database
from jackstay_agent.volumes import folders
from jackstay_agent.volumes.service import Volumes

DIGEST = "sha256:" + "a" * 64


class ThreadJobs:
    """Runs the one job of volumes in a thread, since it needs no namespace."""

    async def run(self, job: str, argument: Any, descriptors: Any = ()) -> Any:
        assert job == "jackstay_agent.volumes.folders:remove_job"
        return await asyncio.to_thread(folders.remove_job, argument, list(descriptors))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(str(tmp_path / "metadata.db"))
    yield opened
    await opened.close()


@pytest.fixture
def volumes(tmp_path: Path, database: Database) -> Volumes:
    return Volumes(str(tmp_path), database, ThreadJobs())


async def container(database: Database, volumes: Volumes, name: str, *mounted: str | None) -> list[str]:
    """A container's rows with *mounted* volumes, in one transaction as `create` makes them; the volumes' names."""

    def create(connection: Any) -> list[str]:
        connection.execute("INSERT OR IGNORE INTO blobs VALUES (?, 1, 1)", (DIGEST,))
        connection.execute(
            "INSERT OR IGNORE INTO images (root, media_type, manifest, image_id, chain_id, created, stored)"
            " VALUES (?1, '', ?1, ?1, '', 0, 0)",
            (DIGEST,),
        )
        connection.execute(
            "INSERT INTO containers (id, name, image, image_root, image_id, snapshot, config, state, created)"
            " VALUES (?, ?, '', ?, '', '', '{}', 'created', 0)",
            (name, name, DIGEST),
        )
        found = [volumes.ensure(connection, each, {}) for each in mounted]
        for each in found:
            volumes.add_use(connection, name, each)
        return found

    return await database.write("test", create)


async def forget(database: Database, name: str) -> None:
    await database.write("test", lambda c: c.execute("DELETE FROM containers WHERE id = ?", (name,)))


async def test_a_volumes_life(volumes: Volumes, tmp_path: Path) -> None:
    made = await volumes.create("data", {"tier": "db"})
    assert made.mountpoint == str(tmp_path / "volumes/data/_data") == volumes.path("data")
    assert os.path.isdir(made.mountpoint)
    assert (made.labels, made.anonymous, made.users) == ({"tier": "db"}, False, ())
    Path(made.mountpoint, "file").touch()
    again = await volumes.create("data", {"other": "labels"})
    assert again == made
    assert await volumes.list() == [made]
    assert await volumes.inspect("data") == made
    await volumes.remove("data")
    assert os.listdir(tmp_path / "volumes") == []
    with pytest.raises(NotFound, match="volume data not found"):
        await volumes.remove("data")
    await volumes.remove("data", force=True)
    for missing in (volumes.inspect("data"), volumes.materialize("data")):
        with pytest.raises(NotFound):
            await missing


async def test_a_volume_without_a_name_gets_one_and_is_anonymous(volumes: Volumes) -> None:
    made = await volumes.create(None, {})
    assert len(made.name) == 64
    assert made.anonymous
    assert (await volumes.create("", {})).name != made.name


async def test_a_malformed_name_makes_nothing(volumes: Volumes, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument):
        await volumes.create("../etc", {})
    with pytest.raises(InvalidArgument):
        volumes.path("..")
    with pytest.raises(NotFound):
        await volumes.remove("..")
    await volumes.remove("..", force=True)
    assert not (tmp_path / "volumes").exists()


async def test_a_volume_in_use_is_kept_and_its_containers_are_named(volumes: Volumes, database: Database) -> None:
    names = await container(database, volumes, "web", "data", None)
    await container(database, volumes, "db", "data")
    assert names[0] == "data"
    path = await volumes.materialize("data")
    assert (await volumes.inspect("data")).users == ("db", "web")
    with pytest.raises(InUse, match=r"volume data is in use by db, web"):
        await volumes.remove("data", force=True)
    assert await volumes.prune(all=True) == ([], 0)
    assert os.path.isdir(path)
    await forget(database, "web")
    await forget(database, "db")
    await volumes.remove("data")
    assert not os.path.exists(path)


async def test_anonymous_volumes_go_with_their_only_container(volumes: Volumes, database: Database) -> None:
    named, first, shared = await container(database, volumes, "web", "data", None, None)
    await container(database, volumes, "db", shared)
    assert named == "data"
    assert await volumes.anonymous_of("web") == [first]
    assert (await volumes.inspect(shared)).anonymous
    assert await volumes.anonymous_of("db") == []


async def test_prune_takes_unused_anonymous_ones_and_all_only_when_asked(volumes: Volumes, database: Database) -> None:
    await volumes.create("data", {})
    anonymous = await volumes.create(None, {})
    Path(anonymous.mountpoint, "file").write_bytes(b"x" * 100_000)
    await container(database, volumes, "web", "used")
    removed, freed = await volumes.prune()
    assert removed == [anonymous.name]
    assert freed >= 100_000
    assert (await volumes.prune(all=True))[0] == ["data"]
    assert [volume.name for volume in await volumes.list()] == ["used"]


async def test_a_prune_spares_what_its_filters_do_not_name(volumes: Volumes) -> None:
    for name, labels in [("a", {"tier": "web"}), ("b", {"tier": "db"}), ("c", {})]:
        await volumes.create(name, labels)
    with pytest.raises(InvalidArgument, match="invalid filter"):
        await volumes.prune(True, ["name=a"])
    assert (await volumes.prune(True, ["label=tier", "label!=tier=db"]))[0] == ["a"]
    assert [volume.name for volume in await volumes.list()] == ["b", "c"]


async def test_a_new_volume_never_shows_the_files_of_its_predecessor(volumes: Volumes) -> None:
    for _ in range(10):
        made = await volumes.create("data", {})
        Path(made.mountpoint, "old").touch()
        removal = asyncio.create_task(volumes.remove("data"))
        await asyncio.sleep(0)
        made = await volumes.create("data", {})
        await removal
        if (await volumes.list())[:1] == [made]:
            assert not os.path.exists(os.path.join(made.mountpoint, "old"))


async def test_making_one_folder_at_once_makes_one(volumes: Volumes, database: Database, tmp_path: Path) -> None:
    await container(database, volumes, "web", "data")
    assert len(set(await asyncio.gather(*(volumes.materialize("data") for _ in range(10))))) == 1
    assert os.listdir(tmp_path / "volumes") == ["data"]


async def test_the_start_removes_folders_without_a_row_and_nothing_else(volumes: Volumes, tmp_path: Path) -> None:
    made = await volumes.create("data", {})
    Path(made.mountpoint, "file").touch()
    for rubbish in ("gone", ".new-0123", ".removed-4567"):
        (tmp_path / "volumes" / rubbish / "_data").mkdir(parents=True)
        (tmp_path / "volumes" / rubbish / "_data" / "file").touch()
    assert await volumes.clean() == 3
    assert os.listdir(tmp_path / "volumes") == ["data"]
    assert os.listdir(made.mountpoint) == ["file"]
    assert await volumes.clean() == 0


@pytest.mark.parametrize("verb", ["remove", "prune"])
async def test_a_removal_that_is_cancelled_leaves_no_files_to_the_next_of_that_name(
    volumes: Volumes, database: Database, verb: str
) -> None:
    made = await volumes.create("data", {})
    Path(made.mountpoint, "secret").touch()
    free = threading.Event()
    busy = asyncio.create_task(database.write("test", lambda _connection: free.wait(10)))
    await asyncio.sleep(0)
    removal = asyncio.create_task(volumes.remove("data") if verb == "remove" else volumes.prune(all=True))
    await asyncio.wait([removal], timeout=0.05)  # it has asked the database
    removal.cancel()
    await asyncio.wait([removal], timeout=0.05)
    free.set()
    with pytest.raises(asyncio.CancelledError):
        await removal
    await busy
    assert os.listdir((await volumes.create("data", {})).mountpoint) == []
