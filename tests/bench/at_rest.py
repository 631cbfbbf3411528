"""What an agent takes with a hundred containers running, and after a thousand have come and gone."""

from __future__ import annotations

import asyncio

from jackstay.client import AgentClient, connect, messages
from jackstay.inventory.host import Host
from tests.bench.memory import Taken, watching
from tests.bench.running import all_of, made, run
from tests.bench.scene import Scene
from tests.lab.archives import write_archive
from tests.lab.emptying import empty, leftovers
from tests.lab.images import busybox_base

RUNNING = 100
CYCLES = 1000
WARM = 100
"""Cycles before the first look: what is imported and cached once is not growth."""

TOGETHER = 4


def at_rest(scene: Scene) -> tuple[Taken, Taken, Taken, list[str]]:
    """With `RUNNING` containers on a bridge; after `WARM` cycles; after `CYCLES` more; and what these left behind."""
    with asyncio.Runner() as loop:
        image = busybox_base(scene.folder)
        scene.on_host(scene.one, "load", "-q", "-i", write_archive(scene.folder / "base.tar", [image]))
        agent = loop.run(connect(Host("web1", "localhost", socket=str(scene.one.agent.socket), kind="local")))
        cycles(loop, agent, image.name, WARM)
        warm = taken(scene)
        before = set(leftovers(scene.one))
        cycles(loop, agent, image.name, CYCLES)
        after = taken(scene)
        left = sorted(set(leftovers(scene.one)) - before)
        names = [f"bench-{number}" for number in range(RUNNING)]
        for start in range(0, RUNNING, TOGETHER):
            loop.run(all_of(_sleeping(agent, image.name, name) for name in names[start : start + TOGETHER]))
        full = taken(scene)
        loop.run(agent.close())
        scene.on_host(scene.one, "rm", "-f", *names)
        empty(scene.one)
    return full, warm, after, left


def cycles(loop: asyncio.Runner, agent: AgentClient, image: str, count: int) -> None:
    """Run and remove *count* containers on a bridge, a few at a time."""
    for _ in range(count // TOGETHER):
        loop.run(all_of(run(agent, image, "bridge") for _ in range(TOGETHER)))


def taken(scene: Scene) -> Taken:
    """What the agent takes now."""
    with watching({"agent": scene.one.agent.pid}) as trees:
        pass
    return trees["agent"]


async def _sleeping(agent: AgentClient, image: str, name: str) -> None:
    await made(agent, image, name)
    await agent.containers.start(messages.StartContainerRequest(container=name))
