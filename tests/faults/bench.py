"""A host whose agent can be killed at any fault point, and what is on it before, while and after it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from jackstay.client import AgentClient, connect
from jackstay.client import messages as m
from jackstay.copying.archive_source import ArchiveSource
from jackstay.copying.serve import serve
from jackstay.inventory.host import Host as Address
from tests.lab.host import Host

STANDING, MAPPED = "standing", "mapped"

BASE = (5, 5, 0)
"""Blobs, snapshots and ingests of the base image and the containers on it."""

BEHIND = "layers.write_out"
"""In the names of points that are passed some seconds after what brought them about; `test_cuts` cuts there."""


@dataclass(frozen=True)
class Way:
    """What containers run by, and in which user namespace: a value of ``--userns``."""

    runtime: str
    userns: str = ""


@dataclass
class Bench:
    """The host whose agent dies, another one to copy from, the archives to load, and how containers are to be made."""

    host: Host
    other: Host
    base: Path
    web: Path
    big: Path
    userns: str = ""
    trace: Path = field(init=False)
    armed: Path = field(init=False)

    def __post_init__(self) -> None:
        folder = self.host.namespace.folder
        self.trace, self.armed = folder / "trace", folder / "armed"

    @contextlib.asynccontextmanager
    async def agent(self, host: Host | None = None) -> AsyncIterator[AgentClient]:
        socket = str((host or self.host).agent.socket)
        async with await connect(Address(name="host", address="", socket=socket, kind="local")) as agent:
            yield agent

    async def load(self, archive: Path, host: Host | None = None) -> None:
        source = await ArchiveSource.open(str(archive), archive.name, {"XDG_CACHE_HOME": str(archive.parent)})
        try:
            async with self.agent(host) as agent:
                await serve(agent, source, await source.images(all=True))
        finally:
            await source.close()

    @property
    def target(self) -> str:
        """The container that ran before, of the kind that is to be looked at."""
        return MAPPED if self.userns else STANDING

    def start(self) -> None:
        """Start its agent, which can be armed, and writes down what it passes."""
        self.host.agent.start(env={"JACKSTAY_FAULT": f"@{self.armed}", "JACKSTAY_FAULT_TRACE": str(self.trace)})


async def only_the_base(bench: Bench) -> None:
    """Wait until what was removed is gone: what the image ``base:1`` and its containers have is all there is."""
    state, left = bench.host.state_dir, ""
    for _ in range(100):
        blobs = len(list((state / "content" / "blobs" / "sha256").iterdir()))
        layers = len(list((state / "layers" / "snapshots").iterdir()))
        ingests = len(list((state / "content" / "ingest").iterdir()))
        left = f"{blobs} blobs, {layers} snapshots, {ingests} ingests"
        if (blobs, layers, ingests) == BASE:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"there are {left}")


async def prepare(bench: Bench) -> None:
    """The base image on the host, and two running containers, the second of which has a user namespace of its own."""
    await bench.load(bench.base)
    async with bench.agent() as agent:
        for name, userns in ((STANDING, ""), (MAPPED, "auto")):
            command = ["sh", "-c", "echo made >/made; sleep 9999"]
            request = m.CreateContainerRequest(image="base:1", name=name, command=command, userns=userns)
            await agent.containers.create(request)
            await agent.containers.start(m.StartContainerRequest(container=name))


async def standing(bench: Bench) -> None:
    """The containers that ran before still run, and a command can be run in the one to look at."""
    async with bench.agent() as agent:
        filters = [f"name=^{name}$" for name in (STANDING, MAPPED)]
        listed = await agent.containers.list(m.ListContainersRequest(filters=filters))
        assert [container.state for container in listed.containers] == ["running", "running"]
        call = agent.containers.exec()
        start = m.ExecStart(container=bench.target, command=["cat", "/made"])
        await call.write(m.StreamInput(exec=start))
        output = [reply async for reply in call]
        assert b"".join(reply.stdout for reply in output) == b"made\n"


async def still(bench: Bench) -> None:
    """Wait until the agent passes no point any more: what was removed before is collected later."""
    for _ in range(50):
        bench.trace.unlink(missing_ok=True)
        await asyncio.sleep(0.2)
        if not bench.trace.exists():
            return
    raise AssertionError("the agent is always doing something")


async def passed(bench: Bench, act: Callable[[Bench], Awaitable[None]]) -> list[str]:
    """The points that *act* passes, each once, and once more with the number of times if there are several."""
    await still(bench)
    await act(bench)
    times = Counter(point for point in bench.trace.read_text().split() if BEHIND not in point)
    return [*times, *(f"{point}#{count}" for point, count in times.items() if count > 1)]


async def ended(bench: Bench) -> bool:
    """Whether the agent has died; a dying process takes a moment."""
    for _ in range(100):
        if bench.host.agent.find() is None:
            return True
        await asyncio.sleep(0.02)
    return False
