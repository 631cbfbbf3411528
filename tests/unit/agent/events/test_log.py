from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from jackstay_agent.events import journal, log
from jackstay_agent.events.event import Event
from jackstay_agent.events.filters import Filters, parse
from jackstay_agent.events.log import Events


@pytest.fixture
async def events(tmp_path: Path) -> AsyncIterator[Events]:
    opened = await Events.open(str(tmp_path / "events.db"))
    yield opened
    await opened.close()


def record(events: Events, *names: str) -> None:
    for name in names:
        events.record("container", "start", name, {"name": name})


async def told(events: Events, count: int, *, since: int = 0, filters: Filters | None = None) -> list[str]:
    """The ids of the first *count* events, and "live" where that was said."""
    seen: list[str] = []
    async with aclosing(events.follow(filters or Filters(), since=since)) as batches:
        async for batch in batches:
            seen += ["live"] if batch.live else [event.id for event in batch.events]
            if len([each for each in seen if each != "live"]) >= count:
                return seen
    return seen


async def past(events: Events, since: int = 1) -> list[str]:
    """The ids of everything until now."""
    seen: list[str] = []
    async for batch in events.follow(Filters(), since=since, until=time.time_ns()):
        seen += [event.id for event in batch.events]
    return seen


async def test_the_past_then_live(events: Events) -> None:
    record(events, "a", "b")
    begun = asyncio.create_task(told(events, 4, since=1))
    only_live = asyncio.create_task(told(events, 2))
    await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    record(events, "c", "d")
    assert await begun == ["a", "b", "live", "c", "d"]
    assert await only_live == ["live", "c", "d"]


async def test_until(events: Events) -> None:
    record(events, "a")
    until = time.time_ns() + 200_000_000
    seen: list[str] = []

    async def follow() -> None:
        async for batch in events.follow(Filters(), until=until):
            seen.extend(event.id for event in batch.events)

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.01)
    record(events, "b")
    await following
    assert time.time_ns() > until
    record(events, "c")
    assert seen == ["b"]
    assert await past(events) == ["a", "b", "c"]


async def test_filters_and_since(events: Events) -> None:
    record(events, "a", "b")
    middle = time.time_ns()
    record(events, "c", "b")
    assert await told(events, 1, since=middle, filters=parse(["container=b"])) == ["b"]
    assert await past(events, middle) == ["c", "b"]
    assert await past(events, time.time_ns() + 10**12) == []


async def test_they_stay(tmp_path: Path) -> None:
    path = str(tmp_path / "events.db")
    first = await Events.open(path)
    record(first, "a", "b")
    await first.close()
    second = await Events.open(path)
    record(second, "c")
    assert await past(second) == ["a", "b", "c"]
    await second.close()
    assert os.stat(path).st_mode & 0o777 == 0o600


async def test_a_slow_follower_misses_nothing(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "RECENT", 50)
    monkeypatch.setattr(log, "_BATCH", 7)
    names = [f"{number}" for number in range(1000)]
    seen: list[str] = []
    async with aclosing(events.follow(Filters())) as batches:
        async for batch in batches:
            if batch.live:
                for name in names:
                    record(events, name)
                    if int(name) % 100 == 0:
                        await asyncio.sleep(0.12)  # they are written, and forgotten
            seen += [event.id for event in batch.events]
            if len(seen) >= len(names):
                break
    assert seen == names


async def test_none_is_told_twice_or_left_out_while_many_happen(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "RECENT", 20)
    monkeypatch.setattr(log, "DELAY", 0.002)

    async def happen() -> list[str]:
        names = [str(number) for number in range(2000)]
        for name in names:
            record(events, name)
            if int(name) % 10 == 0:
                await asyncio.sleep(0)
        return names

    happening = asyncio.create_task(happen())
    followers = []
    for _ in range(20):
        followers.append(asyncio.create_task(told(events, 2000, since=1)))
        await asyncio.sleep(0.002)
    names = await happening
    for follower in followers:
        assert [name for name in await follower if name != "live"] == names


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "EVENTS", 100)
    monkeypatch.setattr(journal, "_PRUNE_EVERY", 10)
    opened = journal.Journal.open_at(str(tmp_path / "events.db"), 0)
    day = 86_400 * 10**9

    def numbers() -> list[str]:
        return [event.id for event in opened.read(0, 10**9, 10**6, lambda _event: True)[0]]

    opened.append([(number, Event("image", "load", str(number), {}, day)) for number in range(1, 201)], day)
    assert numbers() == [str(number) for number in range(101, 201)]
    opened.append([(201, Event("image", "load", "201", {}, 40 * day))], 40 * day)
    opened.prune(40 * day)
    assert numbers() == ["201"]
    monkeypatch.setattr(journal, "EVENTS", 10**6)
    monkeypatch.setattr(journal, "BYTES", 1 << 20)
    for batch in range(30):
        opened.append(
            [
                (1000 + batch * 10 + each, Event("image", "load", "x", {"a": "y" * 8000}, 40 * day))
                for each in range(10)
            ],
            40 * day,
        )
    assert 50 < len(numbers()) < 140
    opened.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 8 << 20


async def test_a_damaged_file_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.write_bytes(b"no database" * 1000)
    opened = await Events.open(str(path))
    record(opened, "a")
    assert await past(opened) == ["a"]
    await opened.close()
    assert (tmp_path / "events.db.damaged").read_bytes().startswith(b"no database")


async def test_without_a_file_they_are_kept_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.mkdir()
    opened = await Events.open(str(path))
    record(opened, "a")
    await asyncio.sleep(2 * log.DELAY)
    assert await past(opened) == ["a"]
    await opened.close()


async def test_a_journal_that_cannot_be_written_costs_old_events_only(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "UNWRITTEN", 30)
    monkeypatch.setattr(log, "RECENT", 10)
    monkeypatch.setattr(log, "_RETRY", 0.01)
    monkeypatch.setattr(log, "DELAY", 0.01)
    append = journal.Journal.append

    def full(self: journal.Journal, *arguments: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(journal.Journal, "append", full)
    record(events, *(str(number) for number in range(50)))
    await asyncio.sleep(0.1)
    monkeypatch.setattr(journal.Journal, "append", append)
    await asyncio.sleep(0.1)
    assert await past(events) == [str(number) for number in range(20, 50)]
