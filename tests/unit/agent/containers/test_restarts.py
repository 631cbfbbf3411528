"""The timers of starts to come."""

from __future__ import annotations

import asyncio

from jackstay_agent.containers.restarts import Restarts


async def test_each_plan_is_carried_out_once_unless_it_is_cancelled() -> None:
    done: list[str] = []
    restarts = Restarts(done.append)
    restarts.plan("a", 0, 7)
    restarts.plan("a", 0, 8)  # instead
    restarts.plan("b", 0, 9)
    restarts.cancel("b")
    await asyncio.sleep(0.01)
    restarts.plan("c", 10**6, 9)
    restarts.close()
    restarts.plan("d", 0, 9)
    await asyncio.sleep(0.01)
    assert done == ["a"]
    assert [restarts.previous(name) for name in "abc"] == [8, 0, 9]
    restarts.cancel("a")
    assert restarts.previous("a") == 0
