"""Layers that were compressed for a push: Docker, Podman and skopeo take them from the real registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.contents import contents
from tests.interop.docker import Docker
from tests.interop.engines import Engines
from tests.interop.jackstay import Jackstay
from tests.interop.peer import Peer
from tests.interop.podman import Podman
from tests.interop.skopeo import Skopeo
from tests.lab.archives import write_archive
from tests.lab.images import busybox_web
from tests.lab.lab import Lab
from tests.registries.distribution import Distribution


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(2) as lab:
        yield lab


@pytest.fixture(scope="module")
def registry(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distribution]:
    with Distribution(tmp_path_factory.mktemp("registry"), lab.server_place()) as made:
        yield made


@pytest.fixture(scope="module")
def others(lab: Lab, registry: Distribution, exchange: Path) -> Iterator[Engines]:
    """Docker, Podman and skopeo on the second host."""
    peer = Peer("debian12", lab.hosts["web2"], exchange)
    engines = Engines(Docker(peer), Podman(peer), Skopeo(peer))
    engines.docker.start(insecure=registry.name)
    yield engines
    engines.docker.stop()


@pytest.fixture(scope="module")
def jackstay(lab: Lab, registry: Distribution) -> Jackstay:
    host = lab.hosts["web1"]
    with (lab.dir / "hosts" / host.name / "etc" / "jackstayd.toml").open("a") as config:
        config.write(f'[registries]\nplain_http = ["{registry.name}"]\n')
    host.agent.stop()
    host.agent.start()
    return Jackstay(lab)


def test_gzip_and_zstd(jackstay: Jackstay, registry: Distribution, others: Engines, exchange: Path) -> None:
    folder = exchange / "pushed"
    folder.mkdir()
    jackstay.load(write_archive(folder / "web.archive", [busybox_web(folder)]))
    described = jackstay.inspect("httpd:1.1")
    files = {path: file.content for path, file in jackstay.tree("httpd:1.1").items()}
    for compression in ("gzip", "zstd"):
        name = f"{registry.name}/web:{compression}"
        jackstay.run("push", "--compression", compression, "httpd:1.1", name)
        written = folder / compression
        others.skopeo.copy(f"docker://{name}", f"oci:{written}:web", "--src-tls-verify=false")
        assert contents(written).configs == (described["Id"],)
        assert others.podman.pull_from(name) == described["Id"]
        others.podman.empty()
        if compression == "gzip":  # Docker 20.10 knows no zstd
            others.docker.ask("pull", name)
            assert others.docker.id(name) == described["Id"]
            assert {path: file.content for path, file in others.docker.tree(name).items()} == files
            (known,) = others.docker.inspect(name)["RepoDigests"]
            assert known in jackstay.inspect("httpd:1.1")["RepoDigests"]
