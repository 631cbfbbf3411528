"""The starts to come: which containers wait for one, and for how long they waited last. No process, no task while one
waits, only a timer.

Guarantees: *again* is called once for each `plan`, unless `cancel` or `close` comes first. Whether the start is still
wanted is for *again* to see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Restarts:
    """The timers of one agent's containers."""

    def __init__(self, again: Callable[[str], None]) -> None:
        self._again = again
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._delays: dict[str, int] = {}
        self._closed = False

    def previous(self, container: str) -> int:
        """How long *container* waited before its last start by a policy, in nanoseconds; 0 when it did not."""
        return self._delays.get(container, 0)

    def plan(self, container: str, wait: int, delay: int) -> None:
        """Call *again* in *wait* nanoseconds, and remember that the whole wait is *delay*."""
        self._stop(container)
        self._delays[container] = delay
        if self._closed:
            return  # the row says so, too, to the next agent
        self._timers[container] = asyncio.get_running_loop().call_later(wait / 1e9, self._fire, container)

    def cancel(self, container: str) -> None:
        """Nothing is to come, and the next wait is the first one."""
        self._stop(container)
        self._delays.pop(container, None)

    def close(self) -> None:
        """Call *again* no more."""
        self._closed = True
        for container in tuple(self._timers):
            self._stop(container)

    def _stop(self, container: str) -> None:
        timer = self._timers.pop(container, None)
        if timer is not None:
            timer.cancel()

    def _fire(self, container: str) -> None:
        del self._timers[container]
        self._again(container)
