"""What is on its way is no finding, however it falls between the two looks of the check. Needs root."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jackstay_agent.checking import leftovers
from jackstay_agent.checking.findings import Finding
from jackstay_agent.checking.parts import Parts
from jackstay_agent.config import Limits
from jackstay_agent.containers.engine import Engine
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.metadata import blobs
from jackstay_agent.metadata.database import Database
from jackstay_agent.volumes.service import Volumes
from tests.unit.agent.images.image_host import ImageHost


@pytest.fixture
async def host(tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts) -> ImageHost:
    return await asyncio.to_thread(ImageHost, tmp_path, database, jobs, mounts, Limits())


@pytest.fixture
def parts(host: ImageHost, tmp_path: Path, database: Database, jobs: Spawner) -> Parts:
    layout = SimpleNamespace(logs="/none", bundles="/none", exits="/none")
    engine = cast(Engine, SimpleNamespace(layout=layout))
    volumes = Volumes(str(tmp_path), database, jobs)
    return Parts(database, host.content, host.layers, host.collector, volumes, engine)


async def found(parts: Parts, *, repair: bool = False) -> list[Finding]:
    return [finding async for finding in leftovers.LeftoverCheck(parts, repair=repair).run()]


def between_the_looks(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Let *act* happen once the first look is over."""

    async def sleep(_seconds: float) -> None:
        await act()

    monkeypatch.setattr(leftovers, "asyncio", SimpleNamespace(sleep=sleep))


async def lose(database: Database) -> None:
    """An ingest that has begun, and whose folder is not there."""
    await database.write("test", lambda c: blobs.begin_ingest(c, "blob", None, None))


@pytest.mark.parametrize("anew", [False, True])
async def test_an_ingest_that_was_begun_anew_is_not_lost(
    parts: Parts, database: Database, monkeypatch: pytest.MonkeyPatch, anew: bool
) -> None:
    async def act() -> None:
        if anew:
            await lose(database)

    await lose(database)
    between_the_looks(monkeypatch, act)
    assert [finding.name for finding in await found(parts)] == ([] if anew else ["blob"])


async def test_an_ingest_that_is_begun_while_a_lost_one_is_taken_away_stays(parts: Parts, database: Database) -> None:
    def begin_late(connection: sqlite3.Connection) -> None:
        blobs.begin_ingest(connection, "blob", None, None)
        leftovers._end_lost_ingest(connection, ref="blob", begun=1)

    await database.write("test", begin_late)
    assert await database.read(lambda c: blobs.has_ingest(c, "blob"))
    assert [finding.repaired for finding in await found(parts, repair=True)] == [True]
    assert not await database.read(lambda c: blobs.has_ingest(c, "blob"))


async def test_a_volume_that_was_made_anew_is_not_lost(
    parts: Parts, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def make() -> None:
        await database.write("test", lambda c: parts.volumes.ensure(c, "data", {}))

    async def make_anew() -> None:
        await parts.volumes.remove("data")
        await make()

    await make()
    assert [finding.name for finding in await found(parts)] == ["data"]
    between_the_looks(monkeypatch, make_anew)
    assert await found(parts) == []


async def test_the_second_look_is_while_nothing_is_collected(
    parts: Parts, host: ImageHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host.content.blobs.root / "blobs/sha256" / ("0" * 64)).write_bytes(b"stray")
    audit, collecting = parts.snapshotter.audit, []

    async def look() -> Any:
        task = asyncio.create_task(host.collector.collect())
        await asyncio.wait([task], timeout=0.1)
        collecting.append((task, task.done()))
        return await audit()

    monkeypatch.setattr(parts.snapshotter, "audit", look)
    assert [finding.kind for finding in await found(parts)] == ["orphaned"]
    assert [done for _task, done in collecting] == [True, False]
    await asyncio.gather(*(task for task, _done in collecting))
