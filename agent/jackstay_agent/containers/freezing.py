"""A container with nobody else at work on it, frozen if it runs, for as long as its files are read.

Guarantees: what was frozen for it runs again whatever happens. Its row says "running" all the while: an agent that was
killed in between finds a container that is frozen against its row, and is to resume it at its start.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from jackstay_agent.errors import Error, WrongState
from jackstay_agent.kernel.threads import to_end
from jackstay_agent.metadata.containers import ContainerRow


class Freezer(Protocol):
    """What freezes a container: `runtime.Runtime`."""

    async def pause(self, container: str) -> None:
        """Freeze."""

    async def resume(self, container: str) -> None:
        """Undo `pause`."""

    async def state(self, container: str) -> Any:
        """What is known of it, with a `status`; None for nothing."""


class Locked(Protocol):
    """What has the lock that orders the verbs on one container: `engine.Entry`."""

    @property
    def lock(self) -> asyncio.Lock:
        """The lock."""
        ...


class Host(Protocol):
    """What is asked about containers: `engine.Engine`."""

    @property
    def runtime(self) -> Freezer:
        """What freezes them."""
        ...

    def entry(self, container: str) -> Locked:
        """What is known of the container with that id."""
        ...

    async def get(self, container: str) -> ContainerRow:
        """The row of the id *container*."""
        ...


@asynccontextmanager
async def still(host: Host, container: str, *, pause: bool) -> AsyncIterator[None]:
    """The container with that id, locked, and frozen if it runs and *pause* says so.

    Raises `WrongState` for one that is being removed.
    """
    async with host.entry(container).lock:
        row = await host.get(container)
        if row.state in ("removing", "dead"):
            raise WrongState(f"you cannot commit container {container} which is being removed")
        if not (pause and row.state == "running"):
            yield
            return
        try:
            await _freeze(host.runtime, container)
            yield
        finally:
            await to_end(_thaw(host.runtime, container))


async def _freeze(runtime: Freezer, container: str) -> None:
    try:
        await runtime.pause(container)
    except Error:
        told = await runtime.state(container)
        if told is not None and told.status == "running":
            raise
        # It has ended just now, and is as still as can be.


async def _thaw(runtime: Freezer, container: str) -> None:
    """Resume, whether the freeze was whole or cut; no error when there is nothing to resume."""
    told = await runtime.state(container)
    if told is not None and told.status == "paused":
        await runtime.resume(container)
