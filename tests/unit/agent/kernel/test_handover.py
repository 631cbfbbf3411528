"""From a thread to the event loop: everything in order, few pieces between, and nobody waits for who has gone."""

from __future__ import annotations

import asyncio
import os
import random
import threading

import pytest

from jackstay_agent.kernel.handover import Handover
from jackstay_agent.kernel.threads import begin

PIECE = 1 << 20


async def test_all_comes_in_order_in_pieces_of_bounded_size() -> None:
    written = [os.urandom(random.choice([0, 1, 512, 100_000, PIECE, 3 * PIECE + 7])) for _ in range(60)]
    handover = Handover(piece=PIECE)

    def work() -> None:
        for data in written:
            assert handover.write(data) == len(data)
        handover.flush()
        handover.end()

    writer = begin(work)
    taken = []
    while piece := await handover.take():
        taken.append(piece)
    await writer
    assert b"".join(taken) == b"".join(written)
    assert max(map(len, taken)) <= PIECE
    assert len(taken) < 60 * 4


async def test_who_does_not_take_holds_up_the_writer() -> None:
    handover = Handover(piece=PIECE, ahead=2)
    count = 0

    def work() -> None:
        nonlocal count
        for _ in range(10):
            handover.write(bytes(PIECE))
            count += 1
        handover.end()

    writer = begin(work)
    await asyncio.sleep(0.2)
    assert count == 2
    await handover.take()
    await asyncio.sleep(0.2)
    assert count == 3
    while await handover.take():
        pass
    await writer
    assert count == 10


async def test_a_writer_without_a_taker_ends() -> None:
    handover = Handover(piece=PIECE, ahead=1)
    waits = threading.Event()

    def work() -> None:
        handover.write(bytes(PIECE))
        waits.set()
        handover.write(bytes(PIECE))

    writer = begin(work)
    await asyncio.to_thread(waits.wait)
    handover.close()
    with pytest.raises(BrokenPipeError):
        await asyncio.wait_for(writer, 10)


async def test_a_writer_without_a_taker_that_goes_on_writing_ends() -> None:
    handover = Handover(piece=PIECE, ahead=1)

    def work() -> int:
        failed = 0
        for _ in range(5):
            try:
                handover.write(bytes(PIECE))
            except BrokenPipeError:
                failed += 1
        return failed

    handover.close()
    assert await asyncio.wait_for(begin(work), 10) >= 4


async def test_a_writer_that_outlives_the_loop_ends() -> None:
    failed: list[BaseException] = []

    def inside() -> threading.Thread:
        async def main() -> Handover:
            return Handover(piece=PIECE)

        handover = asyncio.run(main())

        def work() -> None:
            try:
                handover.write(bytes(PIECE))
            except BrokenPipeError as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(10)
        return thread

    thread = await asyncio.to_thread(inside)
    assert not thread.is_alive()
    assert len(failed) == 1
