"""Everything at once on one agent: loads, copies, commits, runs, saves, tags, removals, prunes and checks, by many
clients in an order that chance decides and a number repeats.

What an act may meet because another removed something is told, and nothing else is allowed: a load and a copy always
end well, a save that has begun gives a whole archive, a check finds nothing at any time. In the end everything is
removed, and the agent's state is what it was.

    python -m tests.faults.stress --seconds 600 --seed 7
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import io
import json
import os
import random
import sqlite3
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jackstay.client import AgentClient, connect
from jackstay.client import messages as m
from jackstay.copying.archive_source import ArchiveSource
from jackstay.copying.host_source import HostSource
from jackstay.copying.serve import serve
from jackstay.errors import Error, Unreachable
from jackstay.inventory.host import Host as Address
from tests.faults.consistency import problems
from tests.lab.archives import write_archive
from tests.lab.host import Host
from tests.lab.images import Image, busybox_base, busybox_web
from tests.lab.lab import Lab
from tests.lab.layer import Layer

CLIENTS = 8
NAMES = ("base:1", "httpd:1.1", "top:1", "other:1", "moved:1", "made:1", "made:2")
REMOVED = frozenset({"NOT_FOUND", "IN_USE", "NAME_TAKEN", "WRONG_STATE", "AMBIGUOUS"})
"""What an act may be told because others are at work on the same things."""
EMPTY = ("blobs", "blob_references", "images", "names", "snapshots", "leases", "lease_items", "ingests", "containers")


@dataclass
class Scene:
    """The host under stress, one to copy from, archives, and what went wrong."""

    host: Host
    other: Host
    archives: Sequence[Path]
    wrong: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)

    @contextlib.asynccontextmanager
    async def agent(self, host: Host | None = None) -> AsyncIterator[AgentClient]:
        """A connection of its own."""
        socket = str((host or self.host).agent.socket)
        async with await connect(Address(name="host", address="", socket=socket, kind="local")) as agent:
            yield agent

    async def load(self, agent: AgentClient, archive: Path) -> list[str]:
        """Load all of *archive*; the names."""
        source = await ArchiveSource.open(str(archive), archive.name, {"XDG_CACHE_HOME": str(archive.parent)})
        try:
            fetched = await serve(agent, source, await source.images(all=True))
        finally:
            await source.close()
        return [name for image in fetched.done.images for name in image.names]

    async def save(self, agent: AgentClient, name: str) -> None:
        """Save the image, and make sure that the archive is whole. Raises `AssertionError`."""
        pieces = [bytes(piece) async for piece in agent.images.save(m.SaveRequest(images=[name], format="docker"))]
        whole(b"".join(pieces))

    async def check(self, agent: AgentClient, *, repair: bool = False) -> None:
        """Nothing is missing, wrong or left over, while others are at work. Raises `AssertionError`."""
        replies = [reply async for reply in agent.system.check(m.CheckRequest(repair=repair))]
        findings = [f"{f.kind} {f.thing} {f.name}: {f.detail}" for r in replies if (f := r.finding).kind]
        assert not findings, findings


def whole(archive: bytes) -> None:
    """An archive names only what it has, and every blob in it has its digest. Raises `AssertionError`."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        content = {entry.name: file.read() for entry in tar if (file := tar.extractfile(entry)) is not None}
    for name, data in content.items():
        if name.startswith("blobs/sha256/"):
            assert hashlib.sha256(data).hexdigest() == name.rpartition("/")[2], f"{name} is not what it is called"
    for image in json.loads(content["manifest.json"]):
        for part in (image["Config"], *image["Layers"]):
            assert part in content, f"the archive lacks {part}"


Act = Callable[[Scene, AgentClient, random.Random], Awaitable[object]]


def failed(what: str, error: Error) -> Exception:
    """The exception for a load or copy that failed: never allowed, unless the agent was killed meanwhile."""
    if "Internal error from Core" in error.message:  # gRPC's word for a connection that breaks while it is written to
        return Unreachable(error.message)
    return AssertionError(f"a {what} failed: {error.reason} {error.message}")


async def _load(scene: Scene, agent: AgentClient, chance: random.Random) -> None:
    try:
        await scene.load(agent, chance.choice(scene.archives))
    except Unreachable:
        raise
    except Error as error:
        raise failed("load", error) from error


async def _cut(scene: Scene, agent: AgentClient, chance: random.Random) -> None:
    """A load whose caller goes away."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(_load(scene, agent, chance), chance.random() * 0.3)


async def _copy(scene: Scene, agent: AgentClient, chance: random.Random) -> None:
    try:
        async with scene.agent(scene.other) as other:
            source = HostSource(other)
            await serve(agent, source, await source.images([chance.choice(["base:1", "httpd:1.1"])]))
    except Unreachable:
        raise
    except Error as error:
        raise failed("copy", error) from error


async def _save(scene: Scene, agent: AgentClient, chance: random.Random) -> None:
    await scene.save(agent, chance.choice(NAMES))


async def _tag(_scene: Scene, agent: AgentClient, chance: random.Random) -> None:
    await agent.images.tag(m.TagRequest(source=chance.choice(NAMES), target=chance.choice(["moved:1", "other:1"])))


async def _remove(_scene: Scene, agent: AgentClient, chance: random.Random) -> None:
    await agent.images.remove(m.RemoveImageRequest(image=chance.choice(NAMES), force=chance.random() < 0.5))


async def _prune(_scene: Scene, agent: AgentClient, chance: random.Random) -> None:
    await agent.images.prune(m.PruneImagesRequest(all=chance.random() < 0.5))


async def _run(_scene: Scene, agent: AgentClient, chance: random.Random) -> None:
    """A container that ends by itself, or is removed by force, and is committed on the way or not."""
    ends = chance.random() < 0.5
    command = ["true"] if ends else ["sh", "-c", f"echo {chance.random()} >/made; sleep 100"]
    request = m.CreateContainerRequest(
        image=chance.choice(NAMES),
        command=command,
        auto_remove=ends,
        networks=[m.NetworkAttachment(network="none")],
        mounts=[m.Mount(type="volume", target="/data")],
    )
    container = (await agent.containers.create(request)).id
    try:
        await agent.containers.start(m.StartContainerRequest(container=container))
        if not ends and chance.random() < 0.7:
            name = chance.choice(["made:1", "made:2", ""])
            await agent.images.commit(m.CommitRequest(container=container, name=name, pause=chance.random() < 0.5))
    finally:
        with contextlib.suppress(Error):
            await agent.containers.remove(m.RemoveContainerRequest(container=container, force=True, volumes=True))


async def _check(scene: Scene, agent: AgentClient, chance: random.Random) -> None:
    await scene.check(agent, repair=chance.random() < 0.5)


ACTS: dict[Act, int] = {_load: 6, _cut: 3, _copy: 2, _save: 4, _tag: 3, _remove: 5, _prune: 2, _run: 4, _check: 1}
"""What may be done, and how often in comparison."""


async def stress(scene: Scene, seconds: float, seed: int, *, kill: bool = False) -> None:
    """Let `CLIENTS` clients act for so long; then nothing must be broken, and once all is removed, nothing be left.

    With *kill* the agent is killed every few seconds, and started again.
    """
    async with scene.agent() as agent:  # some folders are made when they are needed first
        await scene.load(agent, scene.archives[0])
        await agent.volumes.create(m.CreateVolumeRequest(name="first"))
        await agent.volumes.remove(m.RemoveVolumeRequest(name="first"))
        await empty(agent)
    before = await asyncio.to_thread(taken, scene.host)
    until = time.monotonic() + seconds

    async def client(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        while time.monotonic() < until and len(scene.wrong) < 5:
            try:
                async with scene.agent() as agent:
                    while time.monotonic() < until and len(scene.wrong) < 5:
                        await act_once(scene, agent, chance, f"client {number}")
            except Unreachable:
                if not kill:
                    raise
                await asyncio.sleep(0.1)

    async def killer() -> None:
        chance = random.Random(f"{seed} killer")
        while time.monotonic() + 5 < until:
            await asyncio.sleep(chance.random() * 4)
            await asyncio.to_thread(scene.host.agent.kill)
            await asyncio.to_thread(scene.host.agent.start)
            scene.done["kill"] += 1

    await asyncio.gather(*(client(number) for number in range(CLIENTS)), *([killer()] if kill else []))
    async with scene.agent() as agent:
        await sound(scene, agent)
        await empty(agent)
    await gone(scene, before)


async def act_once(scene: Scene, agent: AgentClient, chance: random.Random, who: str) -> None:
    """One act, and what came of it. Raises `Unreachable`."""
    (act,) = chance.choices(list(ACTS), list(ACTS.values()))
    name = act.__name__.strip("_")
    try:
        await act(scene, agent, chance)
        scene.done[name] += 1
    except Unreachable:
        raise
    except Error as error:
        scene.told[f"{name} {error.reason}"] += 1
        if error.reason not in REMOVED:
            scene.wrong.append(f"{who}, {name}: {error.reason} {error.message}")
    except AssertionError as error:
        scene.wrong.append(f"{who}, {name}: {error}")


async def ten_loads_and_a_removal(scene: Scene, seconds: float) -> None:
    """Ten clients load one image again and again, and one removes it again and again. Whoever has loaded it can save it
    whole, unless it was removed since."""
    until = time.monotonic() + seconds

    async def load() -> None:
        async with scene.agent() as agent:
            while time.monotonic() < until and not scene.wrong:
                try:
                    await scene.load(agent, scene.archives[1])
                    scene.done["load"] += 1
                    await scene.save(agent, "httpd:1.1")
                    scene.done["save"] += 1
                except Error as error:
                    scene.told[error.reason] += 1
                    if (error.reason, "No such image" in error.message) != ("NOT_FOUND", True):
                        scene.wrong.append(f"{error.reason} {error.message}")
                except AssertionError as error:
                    scene.wrong.append(str(error))

    async def remove() -> None:
        async with scene.agent() as agent:
            while time.monotonic() < until and not scene.wrong:
                try:
                    await agent.images.remove(m.RemoveImageRequest(image="httpd:1.1"))
                    scene.done["remove"] += 1
                except Error as error:
                    if error.reason != "NOT_FOUND":
                        scene.wrong.append(f"{error.reason} {error.message}")
                await asyncio.sleep(0.01)

    await asyncio.gather(remove(), *(load() for _ in range(10)))
    async with scene.agent() as agent:
        await scene.load(agent, scene.archives[1])
        await sound(scene, agent)
        await empty(agent)


async def sound(scene: Scene, agent: AgentClient) -> None:
    """Every image that is listed can be saved whole, and the check finds nothing."""
    listed = (await agent.images.list(m.ListImagesRequest())).images
    for image in listed:
        try:
            await scene.save(agent, image.id)
        except (Error, AssertionError) as error:
            left = (await agent.images.list(m.ListImagesRequest())).images
            if image.id in {each.id for each in left}:  # a container that has just ended may have taken it along
                scene.wrong.append(f"in the end, saving {image.repository}:{image.tag}: {error}")
    try:
        await scene.check(agent)
    except AssertionError as error:
        scene.wrong.append(f"in the end: {error}")
    scene.wrong += [f"in the end: {problem}" for problem in await asyncio.to_thread(problems, scene.host)]


async def empty(agent: AgentClient) -> None:
    """Remove every container with its volumes, every image, and what waits for another try."""
    for container in (await agent.containers.list(m.ListContainersRequest(all=True))).containers:
        await agent.containers.remove(m.RemoveContainerRequest(container=container.id, force=True, volumes=True))
    for image in {image.id for image in (await agent.images.list(m.ListImagesRequest())).images}:
        await agent.images.remove(m.RemoveImageRequest(image=image, force=True))
    await agent.images.prune(m.PruneImagesRequest(all=True))  # what loads left for a next try that were cut
    await agent.volumes.prune(m.PruneVolumesRequest(all=True))  # of containers whose removal a death of the agent cut


async def gone(scene: Scene, before: dict[str, int]) -> None:
    """No row is left, and the state takes on disk what it took before."""
    for _ in range(100):  # what a lease held goes a moment after it
        left = await asyncio.to_thread(rows, scene.host)
        after = await asyncio.to_thread(taken, scene.host)
        if not left and after == before:
            return
        await asyncio.sleep(0.1)
    scene.wrong += [f"left: {count} rows of {table}" for table, count in left.items()]
    scene.wrong += [f"left: {path} ({size} bytes)" for path, size in after.items() if before.get(path) != size]
    scene.wrong += [f"lost: {path}" for path in before.keys() - after.keys()]


def rows(host: Host) -> dict[str, int]:
    """How many rows each table has that should have none, but those that have none."""
    connection = sqlite3.connect(f"file:{host.state_dir / 'jackstay.db'}?mode=ro", uri=True)
    try:
        counts = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in EMPTY}
    finally:
        connection.close()
    return {table: count for table, count in counts.items() if count}


def taken(host: Host) -> dict[str, int]:
    """Every file and folder of the agent's state with its size, but the database's; a folder has none."""
    found = {}
    for at, folders, files in os.walk(host.state_dir):
        for name in [*folders, *files]:
            path = Path(at, name)
            shown = str(path.relative_to(host.state_dir))
            if not shown.startswith(("jackstay.db", "events.db")):
                found[shown] = 0 if name in folders else path.lstat().st_size
    return found


def images(folder: Path) -> list[Path]:
    """Archives whose images share layers: a base, two on top of it, both of them in one, and one packed otherwise."""
    base, web = busybox_base(folder), busybox_web(folder)
    with Layer(folder / "top.tar") as layer:
        layer.folder("data")
        for number in range(200):
            layer.file(f"data/{number}", os.urandom(2000))
    top = Image("top:1", (*base.layers, folder / "top.tar"), base.config, (*base.created_by, "data"))
    return [
        write_archive(folder / "base.archive", [base]),
        write_archive(folder / "web.archive", [web]),
        write_archive(folder / "top.archive", [top]),
        write_archive(folder / "all.archive", [base, web, top]),
        write_archive(folder / "packed.archive", [web], form="oci", compress=True),
    ]


@contextlib.asynccontextmanager
async def scene_in(lab: Lab, folder: Path) -> AsyncIterator[Scene]:
    """A scene on two hosts of *lab*, the second of which has images to copy."""
    scene = Scene(lab.hosts["web1"], lab.hosts["web2"], await asyncio.to_thread(images, folder))
    async with scene.agent(scene.other) as other:
        await scene.load(other, scene.archives[3])
    yield scene


def main() -> None:
    """Stress a lab of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.stress", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--kill", action="store_true", help="kill the agent every few seconds")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)

    async def work() -> Scene:
        async with scene_in(lab, Path(folder)) as scene:
            await stress(scene, arguments.seconds, arguments.seed, kill=arguments.kill)
        return scene

    with tempfile.TemporaryDirectory(prefix="jackstay-stress-") as folder, Lab(2) as lab:
        scene = asyncio.run(work())
        print(f"done: {dict(scene.done)}\ntold: {dict(scene.told)}")
        errors = [line for line in scene.host.log_text().splitlines() if "level=error" in line]
    for line in [*scene.wrong, *errors]:
        print(line)
    raise SystemExit(bool(scene.wrong or errors))


if __name__ == "__main__":
    main()
