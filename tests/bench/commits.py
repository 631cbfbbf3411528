"""How long committing a container with 500 changed files takes, beside what Docker and Podman take for the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

from jackstay.client import connect, messages
from jackstay.inventory.host import Host
from tests.bench import peers
from tests.bench.rounds import Series, Task, in_turn
from tests.bench.scene import Scene
from tests.lab.archives import write_archive
from tests.lab.images import IMAGE_CACHE, debian_apache

FILES = 500
CHANGE = f"""
mkdir /srv/changed
for i in $(seq {FILES}); do
  head -c $((i * 40)) /usr/bin/perl > /srv/changed/$i
done
"""
"""What a container does before it is committed: files of 40 bytes to 20 kB, 5 MB together."""


def commits(scene: Scene, rounds: int) -> list[Series]:
    """Committing; the first series is `jackstay -H local commit`, the second the agent's part, one call on its socket.

    Every image is removed before the next round.
    """
    with asyncio.Runner() as loop:
        return _commits(scene, rounds, loop)


def _commits(scene: Scene, rounds: int, loop: asyncio.Runner) -> list[Series]:
    image = debian_apache(IMAGE_CACHE)
    archive = write_archive(scene.folder / "image.tar", [image], "docker-classic")  # which Docker 20 reads, too
    for host in (scene.one, scene.two):
        scene.laptop.ok("-H", host.name, "load", "-q", "-i", archive, timeout=120)
        scene.laptop.ok("-H", host.name, "run", "--name", "changed", image.name, "/bin/sh", "-ec", CHANGE)
    agent = loop.run(connect(Host("web1", "localhost", socket=str(scene.one.agent.socket), kind="local")))
    request = messages.CommitRequest(container="changed", name="made:1", pause=True)
    tasks = [
        Task(
            "`jackstay -H local commit`",
            lambda: scene.on_host(scene.one, "commit", "changed", "made:1"),
            lambda: scene.on_host(scene.one, "rmi", "made:1"),
        ),
        Task(
            "the agent's part of it",
            lambda: loop.run(agent.images.commit(request)),
            lambda: loop.run(agent.images.remove(messages.RemoveImageRequest(image="made:1"))),
        ),
        Task(
            "`jackstay commit` through SSH",
            lambda: scene.laptop.ok("-H", scene.two.name, "commit", "changed", "made:1"),
            lambda: scene.laptop.ok("-H", scene.two.name, "rmi", "made:1"),
        ),
    ]
    with ExitStack() as stack:
        for start in (peers.docker, peers.podman):
            peer = stack.enter_context(start(scene.folder / start.__name__))
            if peer is not None:
                peer.run("load", "-q", "-i", archive)
                stack.callback(_change(peer, image.name))
                tasks.append(
                    Task(
                        f"`{peer.name.split()[0]} commit` ({peer.name})",
                        lambda peer=peer: peer.run("commit", "changed", "made:1"),
                        lambda peer=peer: peer.run("rmi", "made:1"),
                    )
                )
        archive.unlink()
        stack.callback(lambda: loop.run(agent.close()))
        series = in_turn(tasks, rounds)
    for host in (scene.one, scene.two):
        scene.laptop.ok("-H", host.name, "rm", "changed")
        scene.forget(host)
    return series


def _change(peer: peers.Peer, image: str) -> Callable[[], object]:
    """Make the container; what removes it."""
    is_docker = peer.name.startswith("docker")
    named = image if is_docker else f"localhost/{image}"
    # Podman would raise limits, which a machine that is a container itself forbids.
    peer.run(
        "run",
        "--network=none",
        *([] if is_docker else ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]),
        "--name",
        "changed",
        named,
        "/bin/sh",
        "-ec",
        CHANGE,
    )
    return lambda: peer.run("rm", "changed")
