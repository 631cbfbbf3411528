"""How long saving the Debian image of 285 MB takes, beside what Docker and Podman take for it in the same round."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.bench import peers
from tests.bench.rounds import Series, Task, in_turn
from tests.bench.scene import Scene
from tests.lab.archives import write_archive
from tests.lab.images import IMAGE_CACHE, debian_apache


def saving(scene: Scene, rounds: int) -> list[Series]:
    """Saving to a file, each engine from its own store; the first series is `jackstay -H local save`."""
    image = debian_apache(IMAGE_CACHE)
    archive = write_archive(scene.folder / "image.tar", [image], "docker-classic")  # which Docker 20 reads, too
    saved = scene.folder / "saved.tar"
    for host in (scene.one, scene.two):
        scene.laptop.ok("-H", host.name, "load", "-q", "-i", archive)
    save = ["save", "-o", saved, image.name]
    tasks = [
        Task("`jackstay -H local save`", lambda: scene.on_host(scene.one, *save), saved.unlink),
        Task(
            "`jackstay save` through SSH",
            lambda: scene.laptop.ok("-H", scene.two.name, *save),
            saved.unlink,
        ),
    ]
    with ExitStack() as stack:
        for start in (peers.docker, peers.podman):
            peer = stack.enter_context(start(scene.folder / start.__name__))
            if peer is not None:
                peer.run("load", "-q", "-i", archive)
                tasks.append(_save_of(peer, saved, image.name))
        archive.unlink()
        series = in_turn(tasks, rounds)
    for host in (scene.one, scene.two):
        scene.forget(host)
    return series


def _save_of(peer: peers.Peer, saved: Path, name: str) -> Task:
    named = name if peer.name.startswith("docker") else f"localhost/{name}"
    return Task(f"`{peer.name.split()[0]} save` ({peer.name})", lambda: peer.run("save", "-o", saved, named),
                saved.unlink)  # fmt: skip
