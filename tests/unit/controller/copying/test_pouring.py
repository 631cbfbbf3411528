"""A stream into something slow: in order, one piece ahead, and nothing goes on behind the caller's back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from jackstay.copying.pouring import pour
from jackstay.errors import DiskFull, NotFound


async def pieces(count: int, told: list[str], fail: bool = False) -> AsyncIterator[memoryview]:
    for number in range(count):
        told.append(f"came {number}")
        yield memoryview(b"%d" % number)
    if fail:
        raise NotFound("gone")


async def test_one_piece_is_written_while_the_next_comes() -> None:
    told: list[str] = []

    async def write(piece: memoryview) -> None:
        await asyncio.sleep(0.01)
        told.append(f"wrote {bytes(piece).decode()}")

    assert await pour(pieces(3, told), write) == 3
    assert told == ["came 0", "came 1", "wrote 0", "came 2", "wrote 1", "wrote 2"]


@pytest.mark.parametrize("failing", ["stream", "write", "cancelled"])
async def test_when_it_fails_no_write_is_left(failing: str) -> None:
    told: list[str] = []
    running = 0

    async def write(piece: memoryview) -> None:
        nonlocal running
        running += 1
        try:
            await asyncio.sleep(0 if failing == "write" else 5)
            raise DiskFull("no space")
        finally:
            running -= 1

    task = asyncio.create_task(pour(pieces(1 if failing == "stream" else 9, told, fail=failing == "stream"), write))
    await asyncio.sleep(0.05)
    if failing == "cancelled":
        task.cancel()
    await asyncio.wait([task], timeout=2)
    assert task.done()
    assert running == 0
    if failing == "cancelled":
        assert task.cancelled()
    else:
        assert isinstance(task.exception(), NotFound if failing == "stream" else DiskFull)
