"""One sampler for all followers: it works while there are some, and gives what those want to see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any

import pytest

from jackstay_agent.containers import sampler, stats
from jackstay_agent.containers.accounts import Accounts
from jackstay_agent.containers.sampler import Sample, Sampler, Usage
from jackstay_agent.metadata.containers import Outline

RUNS = Outline("1" * 64, "runs", "running", 7, 1000)
ENDED = Outline("2" * 64, "ended", "exited", 0, 1000)


class Looks:
    """Stands in for the database and for the look at the kernel's files; counts them."""

    def __init__(self) -> None:
        self.containers: list[Outline] = [RUNS, ENDED]
        self.looks: list[tuple[list[str], list[str]]] = []
        self.error: Exception | None = None

    async def read(self, _work: Callable[[Any], Any]) -> list[Outline]:
        if self.error is not None:
            raise self.error
        return list(self.containers)

    def look(self, live: Iterable[Outline], before: Mapping[str, Usage]) -> dict[str, Usage]:
        live = list(live)
        self.looks.append(([each.name for each in live], list(before)))
        return {each.id: Usage(len(self.looks), Accounts(pids=len(self.looks))) for each in live}


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    found = Looks()
    monkeypatch.setattr(sampler, "look", found.look)
    monkeypatch.setattr(sampler, "FIRST", 0)
    monkeypatch.setattr(sampler, "INTERVAL", 0)
    return found


async def test_no_look_without_a_follower(looks: Looks) -> None:
    one = Sampler(looks)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert (looks.looks, one.working) == ([], False)
    async with aclosing(one.follow()) as samples:
        first = await anext(samples)
        assert one.working
    assert not one.working
    count = len(looks.looks)
    assert count >= 2  # the first sample has a difference, too
    assert looks.looks[0] == (["runs"], [])
    assert looks.looks[1] == (["runs"], [RUNS.id])
    assert first.containers == (RUNS, ENDED)
    assert list(first.used) == [RUNS.id]
    await asyncio.to_thread(lambda: None)
    assert len(looks.looks) == count


async def test_many_followers_share_one_look(looks: Looks) -> None:
    one = Sampler(looks)  # type: ignore[arg-type]
    seen: list[list[Sample]] = [[], [], []]

    async def follow(into: list[Sample]) -> None:
        async with aclosing(one.follow()) as samples:
            async for sample in samples:
                into.append(sample)
                if len(into) == 3:
                    return

    await asyncio.gather(*map(follow, seen))
    assert seen[0] == seen[1] == seen[2]
    assert len(looks.looks) <= 5
    assert not one.working


async def test_a_slow_follower_gets_the_newest(looks: Looks) -> None:
    one = Sampler(looks)  # type: ignore[arg-type]
    async with aclosing(one.follow()) as slow, aclosing(one.follow()) as quick:
        first = await anext(slow)
        for _ in range(5):
            newest = await anext(quick)
        second = await anext(slow)
    assert second.used[RUNS.id].time >= newest.used[RUNS.id].time > first.used[RUNS.id].time + 1


async def test_containers_come_and_go(looks: Looks) -> None:
    one = Sampler(looks)  # type: ignore[arg-type]
    async with aclosing(one.follow()) as samples:
        sample = await anext(samples)
        looks.containers = [Outline("3" * 64, "new", "running", 8, 1), ENDED]
        while RUNS in sample.containers:
            sample = await anext(samples)
    assert list(sample.used) == ["3" * 64]


async def test_an_error_reaches_the_followers_and_the_next_begins_anew(looks: Looks) -> None:
    one = Sampler(looks)  # type: ignore[arg-type]
    looks.error = OSError("no disk")
    async with aclosing(one.follow()) as samples:
        with pytest.raises(OSError, match="no disk"):
            await anext(samples)
    looks.error = None
    async with aclosing(one.follow()) as samples:
        assert (await anext(samples)).containers == (RUNS, ENDED)


USED = Usage(1, Accounts(memory=10, memory_limit=100))


@pytest.mark.parametrize(
    ("wanted", "every", "names"),
    [
        (None, False, ["runs"]),
        (None, True, ["runs", "ended"]),
        ([ENDED.id, RUNS.id], False, ["ended", "runs"]),
        (["gone"], True, []),
    ],
)
def test_who_is_told_of(wanted: list[str] | None, every: bool, names: list[str]) -> None:
    sample = Sample((RUNS, ENDED), {RUNS.id: USED}, 1000)
    lines = stats.chosen(sample, wanted, every=every)
    assert [line.container.name for line in lines] == names
    assert all((line.usage is not None) == (line.container is RUNS) for line in lines)


@pytest.mark.parametrize(("own", "shown"), [(0, 1000), (100, 100), (5000, 1000)])
def test_the_limit_is_its_own_or_the_hosts(own: int, shown: int) -> None:
    sample = Sample((RUNS,), {RUNS.id: Usage(1, Accounts(memory_limit=own))}, 1000)
    assert stats.chosen(sample, None, every=False)[0].memory_limit == shown
