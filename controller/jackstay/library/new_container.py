"""A container between its making and its start. Until it runs, whatever ends the command removes it.

A user who interrupts ``run`` has not seen a name or an id, so nobody would find and remove what is left.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any

from jackstay.client import messages
from jackstay.errors import Error, Unreachable

if TYPE_CHECKING:
    from jackstay.client import AgentClient

REMOVING = 10.0
"""Seconds that the removal may take before the command ends without it."""


class NewContainer:
    """One that was just made, and is to be started once."""

    def __init__(self, agent: AgentClient, reply: messages.CreateContainerReply) -> None:
        self._agent = agent
        self.reply = reply
        self.id = reply.id
        self.started = False

    async def start(self) -> None:
        """Start it.

        Raises:
            Error: why it could not be started.
        """
        await self._agent.containers.start(messages.StartContainerRequest(container=self.id))
        self.started = True


@contextlib.asynccontextmanager
async def new_container(
    agent: AgentClient, making: Coroutine[Any, Any, messages.CreateContainerReply]
) -> AsyncIterator[NewContainer]:
    """The container that ``making`` makes. It is removed when the block fails or is cancelled before it was started.

    Raises:
        Unreachable: the agent was lost; what became of the container is not known, and it is left.
        Error: it could not be made.
    """
    task = asyncio.create_task(making)
    new: NewContainer | None = None
    try:
        new = NewContainer(agent, await asyncio.shield(task))
        yield new
    except BaseException as error:
        if not (new is not None and new.started) and not isinstance(error, Unreachable):
            await _remove(agent, task)
        raise


async def _remove(agent: AgentClient, making: asyncio.Task[messages.CreateContainerReply]) -> None:
    # The first error counts; with --rm a container that could not be started is gone already.
    with contextlib.suppress(Error, TimeoutError):
        async with asyncio.timeout(REMOVING):
            container = (await making).id
            await agent.containers.remove(
                messages.RemoveContainerRequest(container=container, force=True, volumes=True)
            )
