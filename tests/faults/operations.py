"""What an agent is killed in."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from jackstay.client import messages as m
from jackstay.copying.archive_source import ArchiveSource
from jackstay.copying.host_source import HostSource
from jackstay.copying.serve import serve
from jackstay.errors import Error, NotFound
from jackstay_oci.tar.entries import Entry
from jackstay_oci.tar.writer import TarWriter
from tests.faults.bench import STANDING, Bench, Way, only_the_base

Act = Callable[[Bench], Awaitable[None]]

MIB = 1 << 20

FIRST, SECOND = b"first-value", b"second-value"
"""Of a secret."""


@dataclass(frozen=True)
class Operation:
    """What the agent is killed in: what must be there before it, the act, what takes away what it made, and the ways
    in which it is done: at each point the agent is killed in one of those that pass it, in turn.

    The act must succeed also when an earlier try was cut anywhere.
    """

    act: Act
    undo: Act
    before: Act | None = None
    ways: tuple[Way, ...] = (Way("crun"),)


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
        await agent.images.commit(m.CommitRequest(container=STANDING, name="made:1", pause=True))


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
                userns=bench.userns,
                mounts=[m.Mount(type="volume", source="data", target="/data")],
                ports=[m.PortBinding(host_port=8080, container_port=80, protocol="tcp")],
                secrets=[m.SecretUse(source="word")],
            )
        )
        await agent.containers.start(m.StartContainerRequest(container="new"))
        inspected = await agent.containers.inspect(m.InspectContainerRequest(container="new"))
    pid = json.loads(inspected.document)["State"]["Pid"]
    given = await asyncio.to_thread(bench.host.exec, ["cat", f"/proc/{pid}/root/run/secrets/word"])
    assert given.stdout == FIRST.decode(), given


async def run_anew(bench: Bench) -> None:
    await create_secret(bench)
    await run(bench)


async def unrun(bench: Bench) -> None:
    async with bench.agent() as agent:
        await agent.containers.remove(m.RemoveContainerRequest(container="new", force=True, volumes=True))
        await agent.volumes.remove(m.RemoveVolumeRequest(name="data"))
    await unsecret(bench)


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
            m.CreateContainerRequest(
                image="base:1", name="once", command=["true"], userns=bench.userns, auto_remove=True
            )
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
        await call.write(m.StreamInput(exec=m.ExecStart(container=bench.target, command=command, stdin=True)))
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
        await agent.images.commit(m.CommitRequest(container=STANDING))
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
    for stray in ("layers/snapshots/stray", "volumes/stray", "containers/stray", "secrets/stray"):
        (state / stray / "inner").mkdir(parents=True, exist_ok=True)
    (state / "content" / "blobs" / "sha256" / ("0" * 64)).write_bytes(b"stray")


async def repair(bench: Bench) -> None:
    async with bench.agent() as agent:
        replies = [reply async for reply in agent.system.check(m.CheckRequest(repair=True))]
    assert replies[-1].done.found == replies[-1].done.repaired, replies


async def no_secret_yet(bench: Bench) -> None:
    """As on a host that never had one: the folder is made, too."""
    await unsecret(bench)
    with contextlib.suppress(FileNotFoundError):
        (bench.host.state_dir / "secrets").rmdir()


async def create_secret(bench: Bench) -> None:
    async with bench.agent() as agent:
        await told("NAME_TAKEN", agent.secrets.create(m.CreateSecretRequest(name="word", value=FIRST)))
    await has_value(bench, FIRST)


async def replace_secret(bench: Bench) -> None:
    async with bench.agent() as agent:
        await agent.secrets.create(m.CreateSecretRequest(name="word", value=SECOND, replace=True))
    await has_value(bench, SECOND)


async def has_value(bench: Bench, value: bytes) -> None:
    """The secret has that value and no other, whole."""
    async with bench.agent() as agent:
        found = await agent.secrets.inspect(m.InspectSecretRequest(secret="word"))
    kept = {path.name: path.read_bytes() for path in (bench.host.state_dir / "secrets").iterdir()}
    assert kept == {found.secret.id: value}


async def unsecret(bench: Bench) -> None:
    async with bench.agent() as agent:
        await told("NOT_FOUND", agent.secrets.remove(m.RemoveSecretRequest(secret="word")))


async def nothing(_bench: Bench) -> None:
    """The act leaves nothing."""


WAYS = (Way("crun"), Way("runc", "auto"), Way("runc"), Way("crun", "auto"))

OPERATIONS = {
    "load": Operation(load, unload),
    "copy": Operation(copy, unload),
    "commit": Operation(commit, uncommit),
    "run": Operation(run, unrun, before=create_secret, ways=WAYS),
    "stop": Operation(stop, unrun, before=run_anew, ways=WAYS),
    "rm -f": Operation(remove_running, unsecret, before=run_anew, ways=WAYS),
    "run --rm": Operation(run_once, nothing, ways=WAYS),
    "exec": Operation(execute, nothing, ways=WAYS),
    "export": Operation(export, unexport),
    "cp": Operation(copy_files, uncopy_files),
    "rmi": Operation(remove, nothing, before=load),
    "rmi -f of one in use": Operation(remove_used, nothing, before=load_and_use),
    "image prune -a": Operation(prune, nothing, before=load_and_break_off),
    "system check --repair": Operation(repair, unload, before=load_and_damage),
    "secret create": Operation(create_secret, unsecret, before=no_secret_yet),
    "secret create --replace": Operation(replace_secret, unsecret, before=create_secret),
    "secret rm": Operation(unsecret, nothing, before=create_secret),
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
