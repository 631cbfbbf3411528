"""The agent is killed with SIGKILL at every fault point of what it does: loads and copies, starts, stops and removals.

Each operation is first run whole, with the points that it passes written down. Then, for each of them, and for the last
of several times that one is passed, the agent is armed, dies in the middle, and is started again: its files and rows
must tell one story, the container that ran before must still run, and the same operation must succeed.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
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
from jackstay.errors import Error, NotFound
from jackstay.inventory.host import Host as Address
from jackstay_oci.tar.entries import Entry
from jackstay_oci.tar.writer import TarWriter
from tests.faults.consistency import found, problems
from tests.lab.archives import write_archive
from tests.lab.host import Host
from tests.lab.images import busybox_base, busybox_web, synthetic
from tests.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

Act = Callable[["Bench"], Awaitable[None]]

MIB = 1 << 20
BASE = (5, 4, 0)
"""Blobs, snapshots and ingests of the base image and the container on it."""


@dataclass
class Bench:
    """The host whose agent dies, another one to copy from, and the archives to load."""

    host: Host
    other: Host
    base: Path
    web: Path
    big: Path
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


@dataclass(frozen=True)
class Operation:
    """What the agent is killed in: what must be there before it, the act, and what takes away what it made.

    The act must succeed also when an earlier try was cut anywhere.
    """

    act: Act
    undo: Act
    before: Act | None = None


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


async def stop(bench: Bench) -> None:
    async with bench.agent() as agent:
        await agent.containers.stop(m.StopContainerRequest(container="new", timeout=0))
        listed = await agent.containers.list(m.ListContainersRequest(all=True, filters=["name=new"]))
    assert [container.state for container in listed.containers] == ["exited"]


async def remove_running(bench: Bench) -> None:
    async with bench.agent() as agent:
        request = m.RemoveContainerRequest(container="new", force=True, volumes=True)
        await told("NOT_FOUND", agent.containers.remove(request))
        await told("NOT_FOUND", agent.volumes.remove(m.RemoveVolumeRequest(name="data")))


async def run_once(bench: Bench) -> None:
    """A container that ends and goes by itself."""
    async with bench.agent() as agent:
        with contextlib.suppress(Error):
            await agent.containers.remove(m.RemoveContainerRequest(container="once", force=True))
        await agent.containers.create(
            m.CreateContainerRequest(image="base:1", name="once", command=["true"], auto_remove=True)
        )
        removed = asyncio.create_task(
            agent.containers.wait(m.WaitContainerRequest(container="once", condition="removed"))
        )
        await agent.containers.start(m.StartContainerRequest(container="once"))
        assert (await removed).exit_code == 0


async def execute(bench: Bench) -> None:
    async with bench.agent() as agent:
        call = agent.containers.exec()
        command = ["sh", "-c", "echo >>/executed; cat; exit 3"]
        await call.write(m.StreamInput(exec=m.ExecStart(container="standing", command=command, stdin=True)))
        await call.write(m.StreamInput(stdin=b"given"))
        await call.write(m.StreamInput(stdin_closed=True))
        output = [reply async for reply in call]
        assert b"".join(reply.stdout for reply in output) == b"given"
        assert output[-1].exit_code == 3


async def export(bench: Bench) -> None:
    """A container that does not run, so that it must be mounted for it."""
    async with bench.agent() as agent:
        with contextlib.suppress(Error):
            await agent.containers.remove(m.RemoveContainerRequest(container="idle"))
        await agent.containers.create(m.CreateContainerRequest(image="base:1", name="idle", command=["true"]))
        pieces = [piece async for piece in agent.containers.export(m.ExportContainerRequest(container="idle"))]
        assert sum(map(len, pieces)) > MIB


async def unexport(bench: Bench) -> None:
    async with bench.agent() as agent:
        await agent.containers.start(m.StartContainerRequest(container="idle"))
        await agent.containers.remove(m.RemoveContainerRequest(container="idle", force=True))


async def copy_files(bench: Bench) -> None:
    """Into a container that does not run, so that it and its volume must be mounted for it."""
    async with bench.agent() as agent:
        with contextlib.suppress(Error):
            await agent.containers.remove(m.RemoveContainerRequest(container="idle"))
        data = m.Mount(type="volume", source="data", target="/data")
        await agent.containers.create(m.CreateContainerRequest(image="base:1", name="idle", mounts=[data]))
        packed = io.BytesIO()
        with TarWriter(packed) as tar:
            tar.add(Entry(name=b"file", size=4), b"copy")
        async with agent.containers.copy_to() as call:
            await call.write(m.CopyToRequest(start=m.CopyToStart(container="idle", path=b"/data")))
            await call.write(m.CopyToRequest(data=packed.getvalue()))
            await call.done_writing()
            assert [reply async for reply in call] == [m.CopyToReply()]
        found = await agent.containers.stat_path(m.StatPathRequest(container="idle", path=b"/data/file"))
        assert found.stat.size == 4


async def uncopy_files(bench: Bench) -> None:
    async with bench.agent() as agent:
        await agent.containers.remove(m.RemoveContainerRequest(container="idle"))
        await agent.volumes.remove(m.RemoveVolumeRequest(name="data"))


async def remove(bench: Bench) -> None:
    """An image with a layer of its own, on layers that stay."""
    async with bench.agent() as agent:
        await told("NOT_FOUND", agent.images.remove(m.RemoveImageRequest(image="httpd:1.1")))
    await only_the_base(bench)


async def load_and_use(bench: Bench) -> None:
    await bench.load(bench.web)
    async with bench.agent() as agent:
        await agent.containers.create(m.CreateContainerRequest(image="httpd:1.1", name="user"))


async def remove_used(bench: Bench) -> None:
    """An image that a container uses, by force, and then the container, with which it goes."""
    async with bench.agent() as agent:
        await told("NOT_FOUND", agent.images.remove(m.RemoveImageRequest(image="httpd:1.1", force=True)))
        await told("NOT_FOUND", agent.containers.remove(m.RemoveContainerRequest(container="user")))
    await only_the_base(bench)


async def load_and_break_off(bench: Bench) -> None:
    """An image with a name, one without, and a load whose source fails in the middle."""
    await bench.load(bench.web)
    async with bench.agent() as agent:
        await agent.images.commit(m.CommitRequest(container="standing"))
        source = await Failing.open(str(bench.big), bench.big.name, {"XDG_CACHE_HOME": str(bench.big.parent)})
        try:
            with pytest.raises(Error):
                await serve(agent, source, await source.images(all=True))
        finally:
            await source.close()


async def prune(bench: Bench) -> None:
    async with bench.agent() as agent:
        await agent.images.prune(m.PruneImagesRequest(all=True))
    await only_the_base(bench)


async def load_and_damage(bench: Bench) -> None:
    """A layer that was changed, and what belongs to nothing in every folder."""
    await bench.load(bench.web)
    state = bench.host.state_dir
    (page,) = (state / "layers" / "snapshots").glob("*/fs/var/www/html/index.html")
    page.write_text("changed\n")
    (state / "content" / "ingest" / ("1" * 64)).mkdir(exist_ok=True)
    for stray in ("layers/snapshots/stray", "volumes/stray", "containers/stray"):
        (state / stray / "inner").mkdir(parents=True, exist_ok=True)
    (state / "content" / "blobs" / "sha256" / ("0" * 64)).write_bytes(b"stray")


async def repair(bench: Bench) -> None:
    async with bench.agent() as agent:
        replies = [reply async for reply in agent.system.check(m.CheckRequest(repair=True))]
    assert replies[-1].done.found == replies[-1].done.repaired, replies


async def nothing(_bench: Bench) -> None:
    """The act leaves nothing."""


OPERATIONS = {
    "load": Operation(load, unload),
    "copy": Operation(copy, unload),
    "commit": Operation(commit, uncommit),
    "run": Operation(run, unrun),
    "stop": Operation(stop, unrun, before=run),
    "rm -f": Operation(remove_running, nothing, before=run),
    "run --rm": Operation(run_once, nothing),
    "exec": Operation(execute, nothing),
    "export": Operation(export, unexport),
    "cp": Operation(copy_files, uncopy_files),
    "rmi": Operation(remove, nothing, before=load),
    "rmi -f of one in use": Operation(remove_used, nothing, before=load_and_use),
    "image prune -a": Operation(prune, nothing, before=load_and_break_off),
    "system check --repair": Operation(repair, unload, before=load_and_damage),
}
LIKE = {
    "copy": ("load",),
    "cp": ("run", "export"),
    "export": ("run",),
    "rm -f": ("stop",),
    "run --rm": ("run", "rm -f"),
    "rmi -f of one in use": ("load", "rmi"),
    "system check --repair": ("load", "rmi", "rmi -f of one in use"),
}
"""Operations that do much of what others do: the agent is killed in them once at each point that those do not pass."""


class Failing(ArchiveSource):
    """An archive that cannot be read on after the first MiB of a blob."""

    async def read(self, digest: str, offset: int, length: int) -> AsyncIterator[bytes]:
        sent = 0
        async for piece in super().read(digest, offset, length):
            yield piece
            if (sent := sent + len(piece)) >= MIB:
                raise NotFound(f"{digest} is cut")


async def told(reason: str, call: Awaitable[object]) -> None:
    """Await *call*, which may fail for that reason: an earlier try that was cut had done it."""
    try:
        await call
    except Error as error:
        if error.reason != reason:
            raise


async def only_the_base(bench: Bench) -> None:
    """Wait until what was removed is gone: what the image ``base:1`` and its container have is all there is."""
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
            write_archive(folder / "big.archive", [synthetic(folder, 4 * MIB)]),
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


async def still(bench: Bench) -> None:
    """Wait until the agent passes no point any more: what was removed before is collected later."""
    for _ in range(50):
        bench.trace.unlink(missing_ok=True)
        await asyncio.sleep(0.2)
        if not bench.trace.exists():
            return
    raise AssertionError("the agent is always doing something")


async def passed(bench: Bench, act: Act) -> list[str]:
    """The points that *act* passes, each once, and once more with the number of times if there are several."""
    await still(bench)
    await act(bench)
    times = Counter(bench.trace.read_text().split())
    return [*times, *(f"{point}#{count}" for point, count in times.items() if count > 1)]


async def elsewhere(bench: Bench, name: str) -> set[str]:
    """The points that the operations pass which the one of that *name* is like."""
    known: set[str] = set()
    for like in LIKE.get(name, ()):
        operation = OPERATIONS[like]
        await (operation.before or nothing)(bench)
        known.update(await passed(bench, operation.act))
        await operation.undo(bench)
    return known


async def ended(bench: Bench) -> bool:
    """Whether the agent has died; a dying process takes a moment."""
    for _ in range(100):
        if bench.host.agent.find() is None:
            return True
        await asyncio.sleep(0.02)
    return False


@pytest.mark.parametrize("name", OPERATIONS)
async def test_killed_at_every_point(bench: Bench, name: str) -> None:
    operation = OPERATIONS[name]
    before = operation.before or nothing
    await before(bench)
    points = await passed(bench, operation.act)
    assert len(points) >= 2
    await operation.undo(bench)
    if known := await elsewhere(bench, name):
        points = [point for point in points if "#" not in point and point not in known]
    failures: list[str] = []
    late: list[str] = []
    for point in points:
        await before(bench)
        bench.armed.write_text(point)
        with contextlib.suppress(Error, AssertionError):
            await asyncio.wait_for(operation.act(bench), 30)
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
            await operation.act(bench)
            failures += [f"{point}, after a retry: {finding}" for finding in await asyncio.to_thread(found, bench.host)]
            await operation.undo(bench)
        except (Error, AssertionError) as error:
            failures.append(f"{point}: {error!r}")
            bench.host.agent.kill()
            bench.start()
        failures += [f"{point}, after a retry: {problem}" for problem in problems(bench.host)]
    assert failures == []
    assert len(late) <= len(points) // 10, late


async def crash(bench: Bench) -> None:
    """The process of a container with a restart policy dies; wait until the next one runs."""
    pid = await running_again(bench)
    bench.host.exec(["kill", "-9", str(pid)])
    await running_again(bench, other_than=pid)


async def running_again(bench: Bench, other_than: int = 0) -> int:
    """The pid of the container that is started again, once it runs."""
    async with bench.agent() as agent:
        for _ in range(400):
            reply = await agent.containers.inspect(m.InspectContainerRequest(container="again"))
            state = json.loads(reply.document)["State"]
            if state["Status"] == "running" and state["Pid"] not in (0, other_than):
                return int(state["Pid"])
            await asyncio.sleep(0.05)
    raise AssertionError(f"it is not started again: {state}")


async def test_killed_while_a_container_is_started_again(bench: Bench) -> None:
    """The next agent goes on with it, wherever this one has come to."""
    async with bench.agent() as agent:
        await agent.containers.create(
            m.CreateContainerRequest(
                image="base:1",
                name="again",
                command=["sleep", "1000"],
                ports=[m.PortBinding(host_port=8081, container_port=80, protocol="tcp")],
                restart=m.RestartPolicy(name="always"),
            )
        )
        await agent.containers.start(m.StartContainerRequest(container="again"))
    points = [point for point in await passed(bench, crash) if "#" not in point]
    assert len(points) >= 5
    failures: list[str] = []
    for point in points:
        async with bench.agent() as agent:  # or the waits would grow and grow
            await agent.containers.restart(m.RestartContainerRequest(container="again", timeout=0))
        bench.armed.write_text(point)
        with contextlib.suppress(Error, AssertionError):
            await asyncio.wait_for(crash(bench), 30)
        died = await ended(bench)
        bench.armed.unlink()
        if died:
            bench.start()
        else:
            failures.append(f"{point}: was not reached")
        try:
            await running_again(bench)
            await standing(bench)
        except (Error, AssertionError) as error:
            failures.append(f"{point}: {error!r}")
        failures += [f"{point}: {problem}" for problem in problems(bench.host)]
    async with bench.agent() as agent:
        await agent.containers.remove(m.RemoveContainerRequest(container="again", force=True))
    assert failures == []
