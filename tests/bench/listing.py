"""How long listing a thousand images takes: asked on the daemons' sockets, and as whole commands, Docker in turn."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from jackstay_proto.v1.images_pb2 import ListImagesReply, ListImagesRequest
from tests.bench import peers
from tests.bench.rounds import Series, Task, in_turn
from tests.bench.scene import Scene
from tests.lab.archives import write_archive
from tests.lab.images import Image, busybox_base
from tests.lab.layer import Layer

COUNT = 1000
LAYERS = 100  # above those of the base: each is the top of COUNT / LAYERS images


def listing(scene: Scene, rounds: int) -> list[Series]:
    """The agent's ``Images.List`` and Docker's ``GET /images/json``, then ``jackstay images`` and ``docker images``.

    The same thousand images are in both, on 103 layers. On the sockets the answer is read and not looked into.
    """
    archive = write_archive(scene.folder / "thousand.tar", thousand(scene.folder), "docker-classic")
    scene.on_host(scene.one, "load", "-q", "-i", archive)
    with peers.docker(scene.folder / "docker") as docker, agent(scene.one.agent.socket) as ask:
        tasks = [
            Task("`jackstay's agent`: Images.List on its socket", ask),
            Task("`jackstay -H local images`", lambda: scene.on_host(scene.one, "images")),
        ]
        if docker is not None:
            docker.run("load", "-q", "-i", archive)
            assert len(set(docker.run("images", "-q").split())) == COUNT
            with daemon(scene.folder / "docker" / "docker.sock") as get:
                tasks.insert(1, Task(f"`GET /images/json` on the socket of {docker.name}", get))
                tasks.append(Task(f"`docker images` ({docker.name})", lambda: docker.run("images")))
                series = in_turn(tasks, rounds)
        else:
            series = in_turn(tasks, rounds)
    archive.unlink()
    scene.laptop.ok("-H", scene.one.name, "image", "prune", "-af", timeout=300)
    return series


def thousand(folder: Path) -> list[Image]:
    """Images that differ in a label, by tens in their top layer, and have the layers of busybox below."""
    base = busybox_base(folder)
    tops = []
    for number in range(LAYERS):
        with Layer(folder / f"top-{number}.tar") as layer:
            layer.file(f"top-{number}", f"{number}\n")
        tops.append(layer.path)
    return [
        Image(
            f"team/app-{number % LAYERS}:{number}",
            (*base.layers, tops[number % LAYERS]),
            {**base.config, "Labels": {"number": str(number), "org.opencontainers.image.title": "an application"}},
            (*base.created_by, "the application"),
        )
        for number in range(COUNT)
    ]


@contextmanager
def agent(path: str | Path) -> Iterator[Callable[[], bytes]]:
    """Asks the agent on one connection for its list; the bytes of its answer."""
    with grpc.insecure_channel(f"unix:{path}") as channel:
        call = channel.unary_unary("/jackstay.v1.Images/List")
        request = ListImagesRequest().SerializeToString()
        assert len(ListImagesReply.FromString(call(request)).images) == COUNT
        yield lambda: bytes(call(request))


@contextmanager
def daemon(path: Path) -> Iterator[Callable[[], bytes]]:
    """Asks Docker on one connection for its list; the bytes of its answer."""
    connection = http.client.HTTPConnection("docker")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(path))

    def get() -> bytes:
        connection.request("GET", "/images/json")
        return connection.getresponse().read()

    try:
        assert len(json.loads(get())) == COUNT
        yield get
    finally:
        connection.close()
