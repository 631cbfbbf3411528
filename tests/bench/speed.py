"""How long loading, copying and starting take, beside what others take for the same in the same round."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tests.bench import peers
from tests.bench.rounds import Series, Task, in_turn
from tests.bench.scene import Scene
from tests.lab.archives import write_archive
from tests.lab.images import IMAGE_CACHE, busybox_base, debian_apache

SYNCED_LOAD = "load && sync -f"
UNPACK = ["tar", "--extract", "--numeric-owner", "--xattrs"]


def images(scene: Scene, rounds: int) -> list[Series]:
    """Loading and copying the Debian image of 285 MB; the first series is ``tar -x`` of its layer."""
    image = debian_apache(IMAGE_CACHE)
    layer = scene.folder / "layer.tar"
    shutil.copy(image.layers[0], layer)
    archive = write_archive(scene.folder / "image.tar", [image], "docker-classic")  # which Docker 20 reads, too
    target = scene.folder / "unpacked"

    def tar() -> None:
        target.mkdir()
        subprocess.run([*UNPACK, "--file", layer, "--directory", target], check=True)

    def sync() -> None:
        subprocess.run(["sync", "--file-system", scene.folder], check=True)

    def tar_and_sync() -> None:
        tar()
        sync()

    def to_two() -> None:
        scene.laptop.ok("copy", f"web1::{image.name}", "web2::", timeout=300)

    scene.laptop.ok("-H", "web1", "load", "-q", "-i", archive)
    tasks = [
        Task("`tar -x` of the layer", tar, lambda: shutil.rmtree(target)),
        Task("`tar -x` and `sync -f`", tar_and_sync, lambda: shutil.rmtree(target)),
        Task(
            "`jackstay -H local load`",
            lambda: scene.on_host(scene.two, "load", "-q", "-i", archive),
            lambda: scene.forget(scene.two),
        ),
        Task(
            "`jackstay load` through SSH",
            lambda: scene.laptop.ok("-H", "web2", "load", "-q", "-i", archive),
            lambda: scene.forget(scene.two),
        ),
        Task("`jackstay copy` between two hosts, relayed", to_two, lambda: scene.forget(scene.two)),
    ]
    with ExitStack() as stack:
        for start in (peers.docker, peers.podman):
            peer = stack.enter_context(start(scene.folder / start.__name__))
            if peer is not None:
                load = _load_of(peer, archive, image.name)
                tasks.append(load)
                if scene.on == "disk":
                    name = load.name.replace(" load`", f" {SYNCED_LOAD}`")
                    tasks.append(replace(load, name=name, do=lambda do=load.do: (do(), sync())))
        series = in_turn(tasks, rounds)
    layer.unlink()
    archive.unlink()
    return series


def _load_of(peer: peers.Peer, archive: Path, name: str) -> Task:
    named = name if peer.name.startswith("docker") else f"localhost/{name}"
    return Task(f"`{peer.name.split()[0]} load` ({peer.name})", lambda: peer.run("load", "-q", "-i", archive),
                lambda: peer.run("rmi", "-f", named))  # fmt: skip


def starting(scene: Scene, rounds: int) -> list[Series]:
    """``run -d`` of a program of busybox, as a whole command of the laptop, and the command that does nothing."""
    base = busybox_base(scene.folder)
    archive = write_archive(scene.folder / "base.tar", [base])
    scene.laptop.ok("-H", "web1", "load", "-q", "-i", archive)
    run = ["run", "-d", "--name", "bench", base.name, "/bin/sleep", "1000"]

    def remove() -> None:
        scene.laptop.ok("-H", "web1", "rm", "-f", "bench")

    tasks = [
        Task("`jackstay --version`: Python and the command line alone", lambda: scene.laptop.ok("--version")),
        Task("`jackstay version` through SSH", lambda: scene.laptop.ok("-H", "web1", "version")),
        Task("`jackstay run -d` through SSH", lambda: scene.laptop.ok("-H", "web1", *run), remove),
        Task("`jackstay -H local run -d`", lambda: scene.on_host(scene.one, *run), remove),
    ]
    series = in_turn(tasks, rounds)
    scene.forget(scene.one)
    return series


def calls(scene: Scene, count: int) -> list[Series]:
    """A call with a tiny answer on a connection that stands, through SSH and on the agent's socket."""
    return asyncio.run(_calls(scene, count))


async def _calls(scene: Scene, count: int) -> list[Series]:
    import grpc.aio

    from jackstay.client import connect, messages
    from jackstay.inventory.host import Host
    from jackstay.tunnel.settings import TunnelSettings
    from jackstay_proto.v1.system_pb2_grpc import SystemStub

    host = Host(
        name="web1",
        address=scene.one.address,
        user="root",
        identity_files=(str(scene.lab.keys.identity),),
        known_hosts=(str(scene.lab.keys.known_hosts),),
    )
    through, direct = Series("through SSH"), Series("on the socket")
    async with (
        await connect(host, TunnelSettings(use_ssh_agent=False, ssh_config="")) as agent,
        grpc.aio.insecure_channel(f"unix:{scene.one.agent.socket}") as channel,
    ):
        stub = SystemStub(channel)
        for _ in range(count):
            for series, call in (
                (through, lambda: agent.system.version(messages.VersionRequest())),
                (direct, lambda: stub.Version(messages.VersionRequest())),
            ):
                begin = time.perf_counter()
                await call()
                series.seconds.append(time.perf_counter() - begin)
    return [direct, through]
