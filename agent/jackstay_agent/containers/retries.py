"""Work that must be done and cannot be now, as on a full disk: tried again, ever more seldom, until it works.

Guarantees: one such work a name, the newest; `close` lets a try under way end and begins no other. Who dies before it
works leaves it to the next agent's recovery.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from jackstay_agent.errors import NotFound

_log = structlog.get_logger("containers")

FIRST, LONGEST = 0.5, 15.0
"""Seconds before the second try, and the most between two; each wait is twice the one before."""

_CLOSE_SECONDS = 30


class Retries:
    """What one agent still has to do to its containers."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closed = asyncio.Event()

    def keep(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Await *work* again and again until it does not raise; not at once, as it has just failed.

        `NotFound` ends it, too: what it was for is gone. It replaces what was kept under *name*.
        """
        before = self._tasks.get(name)
        if before is not None and before is not asyncio.current_task():
            before.cancel()
        task = self._tasks[name] = asyncio.create_task(self._keep(name, work))
        task.add_done_callback(lambda ended: self._forget(name, ended))

    async def close(self) -> None:
        """Try no more; tries under way are waited for, at most 30 s."""
        self._closed.set()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks.values()), timeout=_CLOSE_SECONDS)

    async def _keep(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        pause = FIRST
        while not await self._rested(pause):
            try:
                await work()
            except NotFound:
                return
            except Exception as error:
                pause = min(2 * pause, LONGEST)
                _log.warning("it does not work yet", work=name, error=str(error) or repr(error), again_in=pause)
            else:
                _log.info("it works now", work=name)
                return

    async def _rested(self, pause: float) -> bool:
        """Wait for *pause* seconds; True when the agent goes meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._closed.wait()
        return self._closed.is_set()

    def _forget(self, name: str, ended: asyncio.Task[None]) -> None:
        if self._tasks.get(name) is ended:
            del self._tasks[name]
