"""The same work with many things, a few at a time."""

from __future__ import annotations

import asyncio

import pytest

from jackstay_oci.at_once import each


async def test_results_come_in_order_and_only_a_few_are_under_way() -> None:
    under_way = most = 0

    async def work(number: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(10 - number):  # the first take longest
            await asyncio.sleep(0)
        under_way -= 1
        return number * 2

    assert await each(range(10), work, limit=3) == [number * 2 for number in range(10)]
    assert most == 3
    assert await each([], work, limit=3) == []


async def test_the_first_failure_ends_the_others_and_is_raised_when_they_have_ended() -> None:
    begun: list[int] = []
    ended: list[int] = []

    async def work(number: int) -> None:
        begun.append(number)
        try:
            await asyncio.sleep(0)
            if number == 1:
                raise LookupError(str(number))
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    with pytest.raises(LookupError, match="1"):
        await each(range(5), work, limit=3)
    assert sorted(ended) == sorted(begun)
    assert 4 not in begun
