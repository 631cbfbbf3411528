"""Pieces that a call sends: all of them in order, and those that nobody wants any more read all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from jackstay_agent.rpc.incoming import Incoming


class Caller:
    """Sends pieces; counts those that were taken."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.sent = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        for number in range(self._count):
            self.sent = number + 1
            yield b"%d" % number


async def test_every_piece_in_order() -> None:
    caller = Caller(5)
    async with Incoming(caller.pieces()) as incoming:
        assert [piece async for piece in incoming.wanted()] == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_slow_reader_holds_up_the_caller() -> None:
    caller = Caller(1000)
    async with Incoming(caller.pieces()) as incoming:
        await anext(aiter(incoming.wanted()))
        for _ in range(20):
            await asyncio.sleep(0)
        assert caller.sent <= 3


async def test_what_nobody_wants_is_read_to_the_end() -> None:
    caller = Caller(1000)
    async with Incoming(caller.pieces()) as incoming:
        await anext(aiter(incoming.wanted()))
        await incoming.discard()
    assert caller.sent == 1000


async def test_discarding_when_all_has_come() -> None:
    caller = Caller(1)
    async with Incoming(caller.pieces()) as incoming:
        for _ in range(20):
            await asyncio.sleep(0)
        await asyncio.wait_for(incoming.discard(), 10)
    assert caller.sent == 1
