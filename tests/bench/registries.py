"""How long pulling from and pushing to a registry take, beside Docker and Podman: the same real registry for all; and
the memory that the agent takes meanwhile.

Docker remembers for ever where it has pushed a layer, and jackstay keeps what it has compressed. So before every push
the registry is emptied, and whoever pushes has just loaded the image: each push compresses and sends it whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.bench import peers
from tests.bench.rounds import Series, Task, in_turn
from tests.bench.scene import Scene
from tests.bench.watched import Watched, watch
from tests.lab.archives import write_archive
from tests.lab.images import IMAGE_CACHE, debian_apache
from tests.registries.distribution import Distribution
from tests.registries.putting import put_image

REPOSITORY = "team/app:1"
PULL = "`jackstay -H local pull`"
PUSH = "`jackstay -H local push`"


@dataclass(slots=True)
class Measured:
    """What came of it: series, our own first, and what everybody's memory was during a pull and a push by the laptop's
    command."""

    pulls: list[Series] = field(default_factory=list)
    pushes: list[Series] = field(default_factory=list)
    pushed: dict[str, int] = field(default_factory=dict)  # by who pushed, bytes of blobs
    memory: dict[str, Watched] = field(default_factory=dict)  # by command


def registries(scene: Scene, rounds: int) -> Measured:
    """Measure pulls and pushes."""
    measured = Measured()
    image = debian_apache(IMAGE_CACHE, REPOSITORY)
    place = scene.lab.server_place()
    with ExitStack() as stack:
        registry = stack.enter_context(Distribution(scene.folder / "registry", place))
        name = f"{registry.name}/{REPOSITORY}"
        allow(scene, registry)
        docker = stack.enter_context(
            peers.docker(scene.folder / "docker", options=(f"--insecure-registry={registry.name}",))
        )
        podman = stack.enter_context(peers.podman(scene.folder / "podman"))
        put_image(registry, image, REPOSITORY)
        measured.memory["pull"] = watch(scene, "-H", "web1", "pull", "-q", name)
        scene.forget(scene.one)
        measured.pulls = in_turn(_pulls(scene, name, docker, podman), rounds)
        _empty(registry)

        archive = write_archive(scene.folder / "image.tar", [replace(image, name=name)], "docker-classic")
        tasks = _pushes(scene, name, archive, docker, podman, registry, measured.pushed)
        measured.memory["push"] = watch(scene, "-H", "web1", "push", "-q", name)
        tasks[0].after()
        measured.pushes = in_turn(tasks, rounds)
        archive.unlink()
    scene.forget(scene.one)
    return measured


def allow(scene: Scene, registry: Distribution) -> None:
    """Let the hosts speak to the *registry*, which has no certificate."""
    for host in (scene.one, scene.two):
        with (scene.lab.dir / "hosts" / host.name / "etc" / "jackstayd.toml").open("a") as config:
            config.write(f'[registries]\nplain_http = ["{registry.name}"]\n')
        host.agent.stop()
        host.agent.start()


def _pulls(scene: Scene, name: str, docker: peers.Peer | None, podman: peers.Peer | None) -> list[Task]:
    tasks = [
        Task(PULL, lambda: scene.on_host(scene.one, "pull", "-q", name), lambda: scene.forget(scene.one)),
        Task("`jackstay pull` through SSH", lambda: scene.laptop.ok("-H", "web1", "pull", "-q", name, timeout=300),
             lambda: scene.forget(scene.one)),
    ]  # fmt: skip
    for peer, options in ((docker, ()), (podman, ("--tls-verify=false",))):
        if peer is not None:
            tasks.append(_pull_of(peer, options, name))
    return tasks


def _pull_of(peer: peers.Peer, options: tuple[str, ...], name: str) -> Task:
    return Task(f"`{peer.name.split()[0]} pull` ({peer.name})", lambda: peer.run("pull", "-q", *options, name),
                lambda: peer.run("rmi", "-f", name))  # fmt: skip


def _pushes(
    scene: Scene,
    name: str,
    archive: Path,
    docker: peers.Peer | None,
    podman: peers.Peer | None,
    registry: Distribution,
    pushed: dict[str, int],
) -> list[Task]:
    def after(who: str, forget: Callable[[], object], load: Callable[[], object]) -> Callable[[], None]:
        def again() -> None:
            pushed[who] = sum(path.stat().st_size for path in registry.blobs().values())
            _empty(registry)
            forget()
            load()

        return again

    def load() -> None:
        scene.on_host(scene.one, "load", "-q", "-i", archive)

    load()
    tasks = [
        Task(PUSH, lambda: scene.on_host(scene.one, "push", "-q", name),
             after("jackstay", lambda: scene.forget(scene.one), load)),
    ]  # fmt: skip
    for peer, options in ((docker, ()), (podman, ("--tls-verify=false",))):
        if peer is not None:
            tasks.append(_push_of(peer, options, name, archive, after))
    return tasks


def _push_of(
    peer: peers.Peer, options: tuple[str, ...], name: str, archive: Path, after: Callable[..., Callable[[], None]]
) -> Task:
    def load() -> None:
        peer.run("load", "-q", "-i", archive)

    load()
    short = peer.name.split()[0]
    return Task(f"`{short} push` ({peer.name})", lambda: peer.run("push", "-q", *options, name),
                after(short, lambda: peer.run("rmi", "-f", name), load))  # fmt: skip


def _empty(registry: Distribution) -> None:
    """Take everything out of the registry, which looks at its files at each request."""
    shutil.rmtree(registry.folder / "storage" / "docker")
