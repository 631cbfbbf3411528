"""Real Docker 20.10 and 26, Podman 4 and 5, skopeo 1.9 and 1.18, umoci, images of theirs, and a host with jackstay.

All is made once. What one of the programs cannot do or is not there for fails the test: nothing is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.interop.contents import contents
from tests.interop.debian13 import InstallError
from tests.interop.docker import Docker
from tests.interop.engines import DEBIANS, Engines
from tests.interop.images import CHANGES, build_context, file_system
from tests.interop.install import install
from tests.interop.jackstay import Jackstay
from tests.interop.originals import IMAGES, Original, Passed
from tests.interop.peer import Peer
from tests.interop.podman import Podman
from tests.interop.skopeo import Skopeo
from tests.interop.umoci import Umoci
from tests.lab.lab import Lab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark this folder's tests; what the fixtures install on a bare machine is not a test's time."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.interop)
            item.add_marker(pytest.mark.timeout(120, func_only=True))


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
def umoci(engines: dict[str, Engines]) -> Umoci:
    """umoci, which only one of the Debians needs to have: both have the same."""
    return Umoci(engines["debian12"].docker.peer)


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
def original(request: pytest.FixtureRequest, originals: Callable[[str], Original]) -> Original:
    """``imported:1`` by docker import, ``made:1`` above it by docker build, ``made:2`` above that by docker commit."""
    return originals(request.param)


@pytest.fixture(scope="session")
def originals(engines: dict[str, Engines], root_tar: Path, exchange: Path) -> Callable[[str], Original]:
    """Those of each Debian, made once, though pytest makes a fixture with parameters anew whenever they change."""
    return cache(lambda debian: make_original(engines[debian].docker, root_tar, exchange))


def make_original(docker: Docker, root_tar: Path, exchange: Path) -> Original:
    docker.empty()
    docker.import_tar(root_tar, "imported:1")
    docker.build(build_context(exchange / "context.tar", "imported:1"), "made:1")
    docker.commit_changes("made:1", CHANGES, "made:2")
    stem = f"{exchange}/{docker.peer.name}"
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
def passed(original: Original, all_passed: Callable[[str], Passed]) -> Passed:
    """``made:2`` of each Docker, after it went through jackstay."""
    return all_passed(original.docker.peer.name)


@pytest.fixture(scope="session")
def all_passed(
    originals: Callable[[str], Original], jackstay_host: Jackstay, exchange: Path
) -> Callable[[str], Passed]:
    """As `originals`: that of each Debian, made once."""
    return cache(lambda debian: make_passed(originals(debian), jackstay_host, exchange))


def make_passed(original: Original, jackstay_host: Jackstay, exchange: Path) -> Passed:
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
        jackstay_host.save(Path(f"{stem}.tar.zst"), "--compress", "zstd", "made:2"),
    )
    jackstay_host.empty()
    return found
