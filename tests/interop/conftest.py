"""Real Docker 20.10 and 26, Podman 4 and 5, skopeo 1.9 and 1.18, images that they have made, and a host with jackstay.

All is made once. What one of the programs cannot do or is not there for fails the test: nothing is skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interop.contents import Contents, contents
from tests.interop.debian13 import InstallError
from tests.interop.docker import Docker
from tests.interop.images import CHANGES, build_context, file_system
from tests.interop.install import install
from tests.interop.peer import Peer
from tests.interop.podman import Podman
from tests.interop.skopeo import Skopeo
from tests.interop.trees import Tree, tree_of_process
from tests.lab.emptying import empty
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data

DEBIANS = ("debian12", "debian13")
IMAGES = ("imported:1", "made:1", "made:2")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark this folder's tests; what the fixtures install on a bare machine is not a test's time."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.interop)
            item.add_marker(pytest.mark.timeout(120, func_only=True))


@dataclass(frozen=True, slots=True)
class Engines:
    """What one Debian has."""

    docker: Docker
    podman: Podman
    skopeo: Skopeo


@dataclass(frozen=True, slots=True)
class Original:
    """Images that one Docker has made and saved, and what it says about them. The Docker has forgotten them since."""

    docker: Docker
    archives: dict[str, Path]
    together: Path
    """All of them in one archive."""
    ids: dict[str, str]
    layers: dict[str, tuple[str, ...]]
    trees: dict[str, Tree]


@dataclass(frozen=True, slots=True)
class Passed:
    """What jackstay said about ``made:2`` when it had loaded it, and what it saved."""

    original: Contents
    described: dict[str, Any]
    id: str
    docker: Path
    oci: Path
    gzipped: Path


class Jackstay:
    """A laptop and one host, ``web1``."""

    def __init__(self, lab: Lab) -> None:
        self.laptop = Laptop(lab)
        self.host: Host = lab.hosts["web1"]

    def run(self, *argv: str | Path) -> str:
        """``jackstay -H web1 ARGV``, which must succeed; what it printed."""
        return self.laptop.ok("-H", "web1", *argv, timeout=100).stdout

    def load(self, archive: Path) -> list[str]:
        """``load -i``; the names or ids that it printed."""
        return [line.partition(": ")[2] for line in self.run("load", "-i", archive).splitlines()]

    def save(self, archive: Path, *argv: str) -> Path:
        """``save -o``."""
        self.run("save", "-o", archive, *argv)
        return archive

    def inspect(self, name: str) -> dict[str, Any]:
        """What ``image inspect`` says."""
        (found,) = data(self.laptop.ok("-H", "web1", "--json", "image", "inspect", name))
        return dict(found)

    def tree(self, image: str) -> Tree:
        """What a container of an image sees."""
        container = self.run("run", "-d", image, "sleep", "600").strip()
        (found,) = json.loads(self.run("inspect", container))
        tree = tree_of_process(self.host, found["State"]["Pid"])
        self.run("rm", "-f", container)
        return tree

    def empty(self) -> None:
        """Remove everything."""
        empty(self.host)


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all archives: every program finds it at the same path."""
    return tmp_path_factory.mktemp("interop")


@pytest.fixture(scope="session")
def engines(exchange: Path) -> Iterator[dict[str, Engines]]:
    """The real programs of both Debians, installed and started."""
    try:
        debian13 = install()
    except InstallError as error:
        pytest.fail(f"the real peers are not to be had: {error}")
    with Lab(2, agent=None) as lab:
        peers = [
            Peer("debian12", lab.hosts["web1"], exchange),
            Peer.of_folder("debian13", lab.hosts["web2"], exchange, debian13),
        ]
        found = {peer.name: Engines(Docker(peer), Podman(peer), Skopeo(peer)) for peer in peers}
        for each in found.values():
            each.docker.start()
        yield found
        for each in found.values():
            each.docker.stop()


@pytest.fixture(scope="session")
def jackstay_host() -> Iterator[Jackstay]:
    """As the last test has left it: use ``jackstay``."""
    with Lab(1) as lab:
        yield Jackstay(lab)


@pytest.fixture
def jackstay(jackstay_host: Jackstay) -> Iterator[Jackstay]:
    """A host with nothing on it."""
    jackstay_host.empty()
    yield jackstay_host
    jackstay_host.empty()


@pytest.fixture(scope="session")
def root_tar(exchange: Path) -> Path:
    """The file system that ``imported:1`` is made of."""
    return file_system(exchange / "root.tar")


@pytest.fixture(scope="session", params=DEBIANS)
def original(request: pytest.FixtureRequest, engines: dict[str, Engines], root_tar: Path, exchange: Path) -> Original:
    """``imported:1`` by docker import, ``made:1`` above it by docker build, ``made:2`` above that by docker commit."""
    docker = engines[request.param].docker
    docker.empty()
    docker.import_tar(root_tar, "imported:1")
    docker.build(build_context(exchange / "context.tar", "imported:1"), "made:1")
    docker.commit_changes("made:1", CHANGES, "made:2")
    stem = f"{exchange}/{request.param}"
    found = Original(
        docker,
        {name: docker.save(Path(f"{stem}-{name.replace(':', '-')}.tar"), name) for name in IMAGES},
        docker.save(Path(f"{stem}-together.tar"), *IMAGES),
        {name: docker.id(name) for name in IMAGES},
        {name: tuple(docker.inspect(name)["RootFS"]["Layers"]) for name in IMAGES},
        {name: docker.tree(name) for name in IMAGES},
    )
    docker.empty()
    return found


@pytest.fixture(scope="session")
def passed(original: Original, jackstay_host: Jackstay, exchange: Path) -> Passed:
    """``made:2`` of each Docker, after it went through jackstay."""
    jackstay_host.empty()
    archive = original.archives["made:2"]
    jackstay_host.load(archive)
    stem = f"{exchange}/passed-{original.docker.peer.name}"
    found = Passed(
        contents(archive),
        jackstay_host.inspect("made:2"),
        original.ids["made:2"],
        jackstay_host.save(Path(f"{stem}.tar"), "made:2"),
        jackstay_host.save(Path(f"{stem}-oci.tar"), "--format", "oci", "made:2"),
        jackstay_host.save(Path(f"{stem}.tar.gz"), "--compress", "gzip", "made:2"),
    )
    jackstay_host.empty()
    return found
