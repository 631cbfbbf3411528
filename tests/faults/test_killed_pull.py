"""The agent is killed with SIGKILL at every fault point of a pull, each time at the last of its passes, when most has
come: files and rows tell one story after the next start, and the same pull then succeeds.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from jackstay_proto.v1 import images_pb2, images_pb2_grpc
from tests.faults.bench import BEHIND
from tests.faults.consistency import found, problems
from tests.lab.emptying import empty, leftovers
from tests.lab.host import Host
from tests.lab.images import Image
from tests.lab.lab import Lab
from tests.lab.layer import Layer
from tests.registries.distribution import Distribution
from tests.registries.putting import put_image

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


OWN = ("content.", "layers.prepare.", "layers.apply.", "metadata.layers.prepare", "metadata.layers.commit")
OWN += ("metadata.content.", "metadata.images.", "metadata.lease.")
"""The points that every pull passes. In which order layers are attached to each other is a matter of time, and tried
with loads."""


def small(folder: Path) -> Image:
    """Two layers, the second of which takes away what the first has."""
    with Layer(folder / "lower.tar") as lower, Layer(folder / "upper.tar") as upper:
        lower.file("gone", "hidden by the next layer\n")
        lower.file("kept", b"kept" * 20_000)
        upper.whiteout("gone")
    return Image("small:1", (folder / "lower.tar", folder / "upper.tar"))


@dataclass
class Bench:
    """A host whose agent dies where it is told to, and the name of what it pulls."""

    host: Host
    name: str
    trace: Path = field(init=False)
    armed: Path = field(init=False)

    def __post_init__(self) -> None:
        folder = self.host.namespace.folder
        self.trace, self.armed = folder / "trace", folder / "armed"
        self.start()

    def start(self) -> None:
        self.host.agent.start(env={"JACKSTAY_FAULT": f"@{self.armed}", "JACKSTAY_FAULT_TRACE": str(self.trace)})

    def pull(self) -> images_pb2.FetchedImage:
        start = images_pb2.PullRequest(start=images_pb2.PullStart(reference=self.name))
        with grpc.insecure_channel(f"unix:{self.host.agent.socket}") as channel:
            replies = list(images_pb2_grpc.ImagesStub(channel).Pull(iter([start]), timeout=60))
        return replies[-1].done.image

    def passed(self) -> dict[str, int]:
        """The points that a pull passes, and how often."""
        empty(self.host)
        self.trace.write_text("")
        self.pull()
        return Counter(self.trace.read_text().split())

    def dies(self, name: str, count: int) -> None:
        """Die in a pull, at the point *name* in its pass number *count*; in the first where it has not so many."""
        for armed in (f"{name}#{count}", name):
            self.armed.write_text(armed)
            try:
                self.pull()
            except grpc.RpcError:
                break
            empty(self.host)
        assert self.host.agent.wait(5) == -signal.SIGKILL, name


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("registry")
    with Lab(1, forked=True) as lab, Distribution(folder, lab.server_place()) as registry:
        image = small(folder)
        put_image(registry, image, "team/small:1")
        host = lab.hosts["web1"]
        host.agent.stop()
        with host.path("/etc/jackstay/jackstayd.toml").open("a") as config:
            config.write(f'[registries]\nplain_http = ["{registry.name}"]\n')
        yield Bench(host, f"{registry.name}/team/small:1")


def test_at_every_point(bench: Bench) -> None:
    one, other = bench.passed(), bench.passed()
    points = {
        name: min(one[name], other[name])
        for name in one
        if name in other and name.startswith(OWN) and BEHIND not in name
    }
    assert {"content.commit.renamed", "metadata.content.blob", "metadata.layers.commit"} <= set(points)
    assert points["metadata.images.named"] == 1
    for name, count in sorted(points.items()):
        empty(bench.host)
        bench.dies(name, count)
        bench.armed.unlink()
        bench.start()
        assert [*problems(bench.host), *found(bench.host, name)] == [], name
        bench.pull()
        assert problems(bench.host) == [], name
    empty(bench.host)
    assert leftovers(bench.host) == []
