"""When the packet filter is made, and when one that stands is left."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from jackstay_agent.kernel.programs import Completed
from jackstay_agent.kernel.table_events import TableEvent
from jackstay_agent.networks import filter as packet_filter
from jackstay_agent.networks import opening
from jackstay_agent.networks.filter import PacketFilter
from jackstay_agent.networks.ruleset import TABLE

AF_INET, AF_INET6 = 2, 10


class Events:
    """Implements `TableEvents`: tells what the test puts."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[list[TableEvent] | None] = asyncio.Queue()

    async def wait(self) -> list[TableEvent] | None:
        return await self.told.get()

    def close(self) -> None:
        pass


class Rows:
    """A database without networks and ports, that fails as often as *failures* says."""

    failures = 0

    async def read(self, _work: object) -> tuple[list[object], list[object]]:
        if self.failures:
            self.failures -= 1
            raise sqlite3.OperationalError("database or disk is full")
        return [], []


class Nft:
    """Counts how often the table is made; each waits until the test lets it."""

    def __init__(self) -> None:
        self.made = 0
        self.may = asyncio.Event()
        self.may.set()

    async def run(self, argv, *, stdin: bytes = b"", timeout: float = 60.0, cwd: str | None = None) -> Completed:
        if argv == ["nft", "-j", "-f", "-"]:
            self.made += 1
            await self.may.wait()
        return Completed(0, b"", b"")


@asynccontextmanager
async def kept(
    monkeypatch: pytest.MonkeyPatch, rows: Rows, nft: Nft, events: Events
) -> AsyncIterator[tuple[PacketFilter, asyncio.Task[None]]]:
    """A filter that is watched; the task of that."""

    def refused(**_options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(packet_filter, "TableEvents", lambda contents: events)
    monkeypatch.setattr(packet_filter, "QUIET", 0.001)
    monkeypatch.setattr(opening, "TableEvents", refused)
    monkeypatch.setattr(opening, "_LEGACY_TABLES", {})
    made = PacketFilter(rows, nft)  # type: ignore[arg-type]
    keeping = asyncio.create_task(made.keep())
    await events.told.put([])
    await asyncio.sleep(0)
    while not events.told.empty():
        await asyncio.sleep(0)
    try:
        yield made, keeping
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


async def test_a_filter_that_stands_is_left_but_not_for_one_who_wants_it_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    nft = Nft()
    async with kept(monkeypatch, Rows(), nft, Events()) as (made, _keeping):
        await made.apply()
        await made.apply()
        assert nft.made == 1
        nft.may.clear()
        first = asyncio.create_task(made.apply(again=True))
        while nft.made == 1:
            await asyncio.sleep(0)
        # Both share the turn after the one under way, and the first of them would leave what that has made.
        others = [asyncio.create_task(made.apply(again=again)) for again in (False, True)]
        await asyncio.sleep(0)
        nft.may.set()
        await asyncio.gather(first, *others)
        assert nft.made == 3


async def test_a_failure_of_the_database_does_not_end_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, nft, events = Rows(), Nft(), Events()
    async with kept(monkeypatch, rows, nft, events) as (made, keeping):
        await made.apply()
        rows.failures = 1
        await events.told.put([TableEvent(AF_INET, TABLE, gone=True)])
        while rows.failures and not keeping.done():
            await asyncio.sleep(0.001)
        await events.told.put([TableEvent(AF_INET, TABLE, gone=True)])
        while nft.made == 1 and not keeping.done():
            await asyncio.sleep(0.001)
        assert (nft.made, keeping.done()) == (2, False)


async def test_a_table_that_another_one_loads_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a saved rule set that has it as it was then: it is taken away and there again in one batch."""
    monkeypatch.setattr(packet_filter, "OWN", 0.0)
    nft, events = Nft(), Events()
    async with kept(monkeypatch, Rows(), nft, events) as (made, _keeping):
        await made.apply()
        await asyncio.sleep(0.001)
        await events.told.put([TableEvent(AF_INET, TABLE, gone=gone) for gone in (True, False)])
        async with asyncio.timeout(5):
            while nft.made == 1:
                await asyncio.sleep(0.001)


@pytest.mark.parametrize("family", [AF_INET, AF_INET6])
async def test_what_another_one_does_in_a_table_is_undone(monkeypatch: pytest.MonkeyPatch, family: int) -> None:
    """As by hand, ``nft flush chain``: the table is there all the time."""
    monkeypatch.setattr(packet_filter, "OWN", 0.0)
    nft, events = Nft(), Events()
    async with kept(monkeypatch, Rows(), nft, events) as (made, _keeping):
        await made.apply()
        await asyncio.sleep(0.001)
        await events.told.put([TableEvent(family, "theirs", gone=False)])
        await asyncio.sleep(0.02)
        assert nft.made == 1
        await events.told.put([TableEvent(family, TABLE, gone=False)])
        async with asyncio.timeout(5):
            while nft.made == 1:
                await asyncio.sleep(0.001)


async def test_a_table_of_ipv6_that_is_not_wanted_any_more_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    nft, events = Nft(), Events()
    async with kept(monkeypatch, Rows(), nft, events) as (made, _keeping):
        await made.apply()
        await events.told.put([TableEvent(AF_INET6, TABLE, gone=True)])
        await asyncio.sleep(0.02)
        assert nft.made == 1


async def test_what_the_agent_itself_does_to_the_table_is_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    nft, events = Nft(), Events()
    async with kept(monkeypatch, Rows(), nft, events) as (made, _keeping):
        await made.apply()
        await events.told.put([TableEvent(AF_INET, TABLE, gone=gone) for gone in (True, False)])
        await asyncio.sleep(0.02)  # many times QUIET
        await made.apply()
        assert nft.made == 1


async def test_events_that_are_lost_in_the_agents_own_batch_do_not_make_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else one that tells of more than the queue holds would be made for ever."""
    nft, events = Nft(), Events()
    async with kept(monkeypatch, Rows(), nft, events) as (made, _keeping):
        await made.apply()
        await events.told.put(None)
        await asyncio.sleep(0.02)
        assert nft.made == 1
        monkeypatch.setattr(packet_filter, "OWN", 0.0)
        await events.told.put(None)
        async with asyncio.timeout(5):
            while nft.made == 1:
                await asyncio.sleep(0.001)
