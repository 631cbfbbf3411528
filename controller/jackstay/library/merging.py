"""What many hosts tell for as long as they like, as one stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TYPE_CHECKING, TypeVar

from jackstay.errors import AgentError

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.fleet import FleetResult
    from jackstay.library.hosts import Hosts

T = TypeVar("T")

QUEUE = 64
"""Items that wait for a slow reader; then the hosts wait."""


async def merged(
    hosts: Hosts, told: Callable[[AgentClient], AsyncIterator[T]], *, at_once: bool
) -> AsyncGenerator[tuple[str, T], None]:
    """What every host tells, as it comes: the host's name and the item, in order for each host.

    ``at_once``: see :meth:`Hosts.run`.

    Raises:
        AgentError: a host failed; what the others had told until they ended was given.
    """
    queue: asyncio.Queue[tuple[str, T] | None] = asyncio.Queue(QUEUE)

    async def work(agent: AgentClient) -> None:
        async for item in told(agent):
            await queue.put((agent.host.name, item))

    async def everything() -> FleetResult[None]:
        try:
            return await hosts.run(work, at_once=at_once)
        finally:
            await queue.put(None)

    task = asyncio.create_task(everything())
    try:
        while (item := await queue.get()) is not None:
            yield item
    finally:
        if not task.done():
            task.cancel()
        # A cancelled task may still be waiting to put its end mark: make room for it.
        while not queue.empty():
            queue.get_nowait()
        await asyncio.gather(task, return_exceptions=True)
    for outcome in task.result().failed:
        assert outcome.error is not None
        raise AgentError(outcome.error.kind, f"{outcome.host}: {outcome.error.message}", outcome.error.hint)
