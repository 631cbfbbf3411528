"""Threads and work that a cancelled caller waits for."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

from jackstay_agent.kernel.readiness import readable
from jackstay_agent.kernel.threads import acquire, begin, cancel_once, finish, to_end


async def test_however_often_the_caller_is_cancelled_the_thread_returns_first() -> None:
    over: list[str] = []

    def work() -> None:
        time.sleep(0.3)
        over.append("thread")

    async def caller() -> None:
        try:
            await finish(work)
        finally:
            over.append("caller")

    task = asyncio.create_task(caller())
    for _ in range(3):
        await asyncio.sleep(0.05)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert over == ["thread", "caller"]


async def test_results_and_errors_come_through() -> None:
    async def fail() -> None:
        raise KeyError("x")

    assert await finish(max, 1, 2) == 2
    assert await begin(max, 1, 2) == 2
    with pytest.raises(KeyError):
        await to_end(fail())
    with pytest.raises(ZeroDivisionError):
        await begin(divmod, 1, 0)


async def test_threads_of_their_own_keep_nobody_out_of_the_shared_ones() -> None:
    gate = threading.Event()
    waiting = [begin(gate.wait, 20) for _ in range(100)]
    await asyncio.wait_for(finish(gate.set), 10)
    assert await asyncio.gather(*waiting) == [True] * 100


async def test_a_thread_goes_on_when_nobody_waits_for_it_any_more() -> None:
    gate, over = threading.Event(), threading.Event()

    def work() -> None:
        gate.wait(20)
        over.set()

    begin(work).cancel()
    gate.set()
    assert await asyncio.to_thread(over.wait, 10)


async def test_waiting_for_a_pipe_needs_no_thread() -> None:
    reading, writing = os.pipe()
    waiting = asyncio.create_task(readable(reading))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    os.write(writing, b"x")
    await asyncio.wait_for(waiting, 5)
    os.read(reading, 1)
    waiting = asyncio.create_task(readable(reading))
    await asyncio.sleep(0)
    os.close(writing)
    await asyncio.wait_for(waiting, 5)
    os.close(reading)


async def test_work_is_cancelled_once_however_often_its_caller_is() -> None:
    over: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.1)
            over.append("whole")

    task = asyncio.create_task(cancel_once(work()))
    for _ in range(4):
        await asyncio.sleep(0.01)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert over == ["whole"]


async def test_what_nobody_gets_is_given_back() -> None:
    released: list[int] = []

    def make() -> int:
        time.sleep(0.1)
        return 7

    task = asyncio.create_task(acquire(make, released.append))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert released == [7]
    assert await acquire(make, released.append) == 7
    assert released == [7]
