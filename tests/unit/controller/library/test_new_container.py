"""A container that never came to run is removed, at whatever step the command that made it ended."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from jackstay.client import messages
from jackstay.errors import AgentError, Error, Unreachable
from jackstay.library.new_container import new_container


class Containers:
    """The calls of an agent. While the one that begins with ``interrupt`` is under way, its caller is cancelled."""

    def __init__(self, fails: Error | None = None, interrupt: str = "nothing") -> None:
        self.calls: list[str] = []
        self.fails = fails
        self.interrupt = interrupt
        self.caller = asyncio.current_task()

    async def create(self) -> messages.CreateContainerReply:
        await self.called("create")
        return messages.CreateContainerReply(id="abc")

    async def start(self, request: messages.StartContainerRequest) -> None:
        await self.called(f"start {request.container}")
        if self.fails:
            raise self.fails

    async def remove(self, request: messages.RemoveContainerRequest) -> None:
        await self.called(f"remove {request.container} {request.force} {request.volumes}")

    async def called(self, what: str) -> None:
        if what.startswith(self.interrupt) and self.caller is not None:
            self.caller.cancel()
        await asyncio.sleep(0)
        self.calls.append(what)


async def run(containers: Containers) -> None:
    agent: Any = SimpleNamespace(containers=containers)
    async with new_container(agent, containers.create()) as new:
        await containers.called("join")
        await new.start()
        await containers.called("go on")


REMOVED = "remove abc True True"


@pytest.mark.parametrize(
    ("interrupt", "calls"),
    [
        ("create", ["create", REMOVED]),
        ("join", ["create", REMOVED]),
        ("start", ["create", "join", REMOVED]),
        ("go on", ["create", "join", "start abc"]),
    ],
)
async def test_interrupted(interrupt: str, calls: list[str]) -> None:
    containers = Containers(interrupt=interrupt)
    task = asyncio.create_task(run(containers))
    containers.caller = task
    with pytest.raises(asyncio.CancelledError):
        await task
    assert containers.calls == calls


async def test_failed() -> None:
    containers = Containers(AgentError("PORT_TAKEN", "the port is taken"))
    with pytest.raises(AgentError):
        await run(containers)
    assert containers.calls == ["create", "join", "start abc", REMOVED]


async def test_what_a_lost_agent_has_is_left() -> None:
    containers = Containers(Unreachable("web1 is gone"))
    with pytest.raises(Unreachable):
        await run(containers)
    assert containers.calls == ["create", "join", "start abc"]


async def test_undisturbed() -> None:
    containers = Containers()
    await run(containers)
    assert containers.calls == ["create", "join", "start abc", "go on"]
