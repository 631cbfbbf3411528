"""A container's output, followed also while its agent is restarted: containers outlive their agent, so do followers.

Guarantees: what a reader was given is not given again, and nothing in between is left out. The agent's entries have no
numbers, so the place to go on from is the last one's time and how many had that time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from jackstay.client import messages
from jackstay.errors import Unreachable

if TYPE_CHECKING:
    from jackstay.client import AgentClient

PATIENCE = 60
"""Seconds to wait for an agent that has gone away."""

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 2.0  # seconds between tries


class Position:
    """How far a log was read. Pure."""

    def __init__(self) -> None:
        self._time = 0
        self._count = 0  # entries given that have this time
        self._skip = 0  # of them, how many are still to come once more

    def resume(self, request: messages.LogsRequest) -> messages.LogsRequest:
        """The request that goes on where *request*, which began this, has ended."""
        if not self._count:
            return request
        self._skip = self._count
        resumed = messages.LogsRequest()
        resumed.CopyFrom(request)
        resumed.ClearField("tail")
        resumed.since_ns = self._time
        return resumed

    def new(self, entries: Sequence[messages.LogEntry]) -> list[messages.LogEntry]:
        """Those of *entries* that were not given before; they are given now."""
        found = []
        for entry in entries:
            if self._skip and entry.time_ns == self._time:
                self._skip -= 1
                continue
            self._skip = 0
            self._count = self._count + 1 if entry.time_ns == self._time else 1
            self._time = entry.time_ns
            found.append(entry)
        return found


async def read_log(agent: AgentClient, request: messages.LogsRequest) -> AsyncGenerator[list[messages.LogEntry], None]:
    """What *request* asks for in batches; one that follows goes on when the agent was restarted.

    Raises:
        Unreachable: the way to the host is broken, or its agent was away for longer than `PATIENCE`.
        AgentError: the agent's.
    """
    position, wait, away = Position(), _FIRST_WAIT, 0.0
    while True:
        try:
            async with aclosing(agent.containers.logs(position.resume(request))) as replies:
                async for reply in replies:
                    wait, away = _FIRST_WAIT, 0.0
                    if entries := position.new(reply.entries):
                        yield entries
            return
        except Unreachable:
            away = away or time.monotonic()
            if not request.follow or agent.cut_off or time.monotonic() - away > PATIENCE:
                raise
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)
