"""The agent is killed with SIGKILL at every fault point of load, copy, commit and run.

Each operation is first run whole, with the points that it passes written down. Then, for each of them, and for the last
of several times that one is passed, the agent is armed, dies in the middle, and is started again: its files and rows
must tell one story, the container that ran before must still run, and the same operation must succeed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jackstay.client import AgentClient, connect
from jackstay.client import messages as m
from jackstay.copying.archive_source import ArchiveSource
from jackstay.copying.host_source import HostSource
from jackstay.copying.serve import serve
from jackstay.errors import Error
from jackstay.inventory.host import Host as Address
from tests.faults.consistency import problems
from tests.lab.archives import write_archive
from tests.lab.host import Host
from tests.lab.images import busybox_base, busybox_web
from tests.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

Act = Callable[["Bench"], Awaitable[None]]


@dataclass
class Bench:
    """The host whose agent dies, another one to copy from, and the archives to load."""

    host: Host
    other: Host
    base: Path
    web: Path
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

    def start(self) -> None:
        self.host.agent.start(env={"JACKSTAY_FAULT": f"@{self.armed}", "JACKSTAY_FAULT_TRACE": str(self.trace)})


async def load(bench: Bench) -> None:
    await bench.load(bench.web)


async def unload(bench: Bench) -> None:
    async with bench.agent() as agent:
        await agent.images.remove(m.RemoveImageRequest(image="httpd:1.1"))


async def copy(bench: Bench) -> None:
    async with bench.agent(bench.other) as other, bench.agent() as agent:
        source = HostSource(other)
        await serve(agent, source, await source.images(["httpd:1.1"]))


async def commit(bench: Bench) -> None:
    async with bench.agent() as agent:
        await agent.images.commit(m.CommitRequest(container="standing", name="made:1", pause=True))


async def uncommit(bench: Bench) -> None:
    async with bench.agent() as agent:
        await agent.images.remove(m.RemoveImageRequest(image="made:1"))
        await agent.images.prune(m.PruneImagesRequest())  # of one that was cut when all was done


async def run(bench: Bench) -> None:
    async with bench.agent() as agent:
        with contextlib.suppress(Error):  # a try that was cut may have left it, created or even running
            await agent.containers.remove(m.RemoveContainerRequest(container="new", force=True, volumes=True))
        await agent.containers.create(
            m.CreateContainerRequest(
                image="base:1",
                name="new",
                command=["sleep", "1000"],
                mounts=[m.Mount(type="volume", source="data", target="/data")],
                ports=[m.PortBinding(host_port=8080, container_port=80, protocol="tcp")],
            )
        )
        await agent.containers.start(m.StartContainerRequest(container="new"))


async def unrun(bench: Bench) -> None:
    async with bench.agent() as agent:
        await agent.containers.remove(m.RemoveContainerRequest(container="new", force=True, volumes=True))
        await agent.volumes.remove(m.RemoveVolumeRequest(name="data"))


OPERATIONS: dict[str, tuple[Act, Act]] = {
    "load": (load, unload),
    "copy": (copy, unload),
    "commit": (commit, uncommit),
    "run": (run, unrun),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("archives")
    base, web = busybox_base(folder), busybox_web(folder)
    with Lab(2) as lab:
        bench = Bench(
            lab.hosts["web1"],
            lab.hosts["web2"],
            write_archive(folder / "base.archive", [base]),
            write_archive(folder / "web.archive", [web]),
        )
        bench.host.agent.stop()
        bench.start()
        asyncio.run(prepare(bench))
        yield bench


async def prepare(bench: Bench) -> None:
    """The base image and a running container on the host, the web image on the other."""
    await bench.load(bench.base)
    await bench.load(bench.web, bench.other)
    async with bench.agent() as agent:
        await agent.containers.create(
            m.CreateContainerRequest(
                image="base:1", name="standing", command=["sh", "-c", "echo made >/made; sleep 9999"]
            )
        )
        await agent.containers.start(m.StartContainerRequest(container="standing"))


async def standing(bench: Bench) -> None:
    """The container that ran before still runs, and a command can be run in it."""
    async with bench.agent() as agent:
        listed = await agent.containers.list(m.ListContainersRequest(filters=["name=standing"]))
        assert [container.state for container in listed.containers] == ["running"]
        call = agent.containers.exec()
        start = m.ExecStart(container="standing", command=["cat", "/made"])
        await call.write(m.StreamInput(exec=start))
        output = [reply async for reply in call]
        assert b"".join(reply.stdout for reply in output) == b"made\n"


async def passed(bench: Bench, act: Act) -> list[str]:
    """The points that *act* passes, each once, and once more with the number of times if there are several."""
    bench.trace.unlink(missing_ok=True)
    await act(bench)
    times = Counter(bench.trace.read_text().split())
    return [*times, *(f"{point}#{count}" for point, count in times.items() if count > 1)]


async def ended(bench: Bench) -> bool:
    """Whether the agent has died; a dying process takes a moment."""
    for _ in range(100):
        if bench.host.agent.find() is None:
            return True
        await asyncio.sleep(0.02)
    return False


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_killed_at_every_point(bench: Bench, operation: str) -> None:
    act, undo = OPERATIONS[operation]
    points = await passed(bench, act)
    assert len(points) >= 8
    await undo(bench)
    failures: list[str] = []
    late: list[str] = []
    for point in points:
        bench.armed.write_text(point)
        with contextlib.suppress(Error):
            await asyncio.wait_for(act(bench), 30)
        died = await ended(bench)
        bench.armed.unlink()
        if died:
            bench.start()
        elif "#" not in point:
            failures.append(f"{point}: was not reached")
        else:
            late.append(point)  # how often a point is passed may differ by a little, as when two come at once
        failures += [f"{point}: {problem}" for problem in problems(bench.host)]
        try:
            await standing(bench)
            await act(bench)
            await undo(bench)
        except (Error, AssertionError) as error:
            failures.append(f"{point}: {error!r}")
            bench.host.agent.kill()
            bench.start()
        failures += [f"{point}, after a retry: {problem}" for problem in problems(bench.host)]
    assert failures == []
    assert len(late) <= len(points) // 10, late
