"""A host as a registry of real clients: docker, podman and skopeo push to it and pull from it, layer by layer.

The daemons run on hosts of a lab, and `jackstay registry expose` beside them: the loopback whose port it opens must be
theirs.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.contents import contents
from tests.interop.debian13 import InstallError
from tests.interop.docker import Docker
from tests.interop.engines import DEBIANS, Engines
from tests.interop.images import CHANGES, build_context
from tests.interop.install import install
from tests.interop.jackstay import Jackstay
from tests.interop.peer import Peer
from tests.interop.podman import Podman
from tests.interop.skopeo import Skopeo
from tests.lab.lab import Lab
from tests.lab.laptop import JACKSTAY

UPLOADED = re.compile(r"event=request method=PUT path=/v2/\S+/blobs/uploads/\S+ status=201")


class Scene:
    """A host with jackstay, engines beside it, and the port through which they see its images."""

    def __init__(self, jackstay: Jackstay, engines: Engines, address: str, exchange: Path) -> None:
        self.jackstay = jackstay
        self.docker, self.podman, self.skopeo = engines.docker, engines.podman, engines.skopeo
        self.address = address
        self.exchange = exchange

    def there(self, name: str) -> str:
        return f"{self.address}/{name}"

    def uploads(self) -> int:
        """How many blobs have come."""
        return len(UPLOADED.findall(self.jackstay.host.log_text()))


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(3) as lab:
        yield lab


@pytest.fixture(scope="module", params=DEBIANS)
def scene(request: pytest.FixtureRequest, lab: Lab, exchange: Path) -> Iterator[Scene]:
    try:
        debian13 = install()
    except InstallError as error:
        pytest.fail(f"the real peers are not to be had: {error}")
    if request.param == "debian12":
        peer = Peer("debian12", lab.hosts["web2"], exchange)
    else:
        peer = Peer.of_folder("debian13", lab.hosts["web3"], exchange, debian13)
    engines = Engines(Docker(peer), Podman(peer), Skopeo(peer))
    engines.docker.start()
    jackstay = Jackstay(lab)
    number = exchange / f"{peer.name}.pid"  # in the host's own namespace: what enters it passes no signals on
    process = subprocess.Popen(
        peer.host.command(["sh", "-c", f"echo $$ >{number}; exec {JACKSTAY} registry expose web1"]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=jackstay.laptop.environment,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        assert address.startswith("127.0.0.1:")
        yield Scene(jackstay, engines, address, exchange)
    finally:
        peer.host.exec(["kill", number.read_text().strip()])
        process.communicate(timeout=30)
        engines.docker.stop()


@pytest.fixture
def empty(scene: Scene) -> Iterator[Scene]:
    """Nothing on the host; the engines have what a test makes."""
    scene.jackstay.empty()
    scene.docker.empty()
    scene.podman.empty()
    yield scene
    scene.jackstay.empty()


def made(scene: Scene, root_tar: Path) -> None:
    """``made:1`` and above it ``made:2`` in docker."""
    scene.docker.import_tar(root_tar, "imported:1")
    scene.docker.build(build_context(scene.exchange / "context.tar", "imported:1"), "made:1")
    scene.docker.commit_changes("made:1", CHANGES, "made:2")


def push(scene: Scene, name: str) -> str:
    """What `docker push` says."""
    scene.docker.ask("tag", name, scene.there(name))
    return scene.docker.ask("push", scene.there(name))


def test_docker_pushes_layer_by_layer_and_pulls(empty: Scene, root_tar: Path) -> None:
    scene, docker, jackstay = empty, empty.docker, empty.jackstay
    made(scene, root_tar)
    before = scene.uploads()
    push(scene, "made:1")
    layers = len(docker.inspect("made:1")["RootFS"]["Layers"])
    assert scene.uploads() - before == layers + 1
    before = scene.uploads()
    said = push(scene, "made:2")
    assert scene.uploads() - before == 2  # the layer above, and the config
    assert said.count("Layer already exists") == layers
    for name in ("made:1", "made:2"):
        described = jackstay.inspect(name)
        assert described["Id"] == docker.id(name)
        assert described["RootFS"]["Layers"] == docker.inspect(name)["RootFS"]["Layers"]
    assert jackstay.tree("made:2") == docker.tree("made:2")

    image_id = docker.id("made:2")
    docker.empty()
    docker.ask("pull", scene.there("made:2"))
    assert docker.id(scene.there("made:2")) == image_id


def test_podman_pulls_what_is_loaded_here_and_pushes_it(empty: Scene, root_tar: Path, tmp_path: Path) -> None:
    scene, podman, jackstay = empty, empty.podman, empty.jackstay
    made(scene, root_tar)
    jackstay.load(scene.docker.save(scene.exchange / f"{tmp_path.name}.tar", "made:2"))
    image_id = podman.pull_from(scene.there("made:2"))
    assert image_id == jackstay.inspect("made:2")["Id"]
    podman.push(image_id.removeprefix("sha256:"), f"docker://{scene.there('again/made:3')}", "--tls-verify=false")
    assert jackstay.inspect("again/made:3")["RootFS"] == jackstay.inspect("made:2")["RootFS"]
    assert jackstay.run("run", "--rm", "again/made:3", "cat", "/etc/committed") == "committed\n"


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_skopeo_copies_to_it_and_from_it(empty: Scene, root_tar: Path, tmp_path: Path, compression: str) -> None:
    scene, skopeo, jackstay = empty, empty.skopeo, empty.jackstay
    made(scene, root_tar)
    archive = scene.docker.save(scene.exchange / f"{tmp_path.name}.tar", "made:2")
    skopeo.copy(
        f"docker-archive:{archive}", f"docker://{scene.there('made:2')}",
        "--dest-tls-verify=false", "--format=oci", f"--dest-compress-format={compression}",
    )  # fmt: skip
    described = jackstay.inspect("made:2")
    target = scene.exchange / f"{tmp_path.name}-oci"
    skopeo.copy(f"docker://{scene.there('made:2')}", f"oci:{target}:made:2", "--src-tls-verify=false")
    written = contents(target)
    assert (written.configs[0], written.manifests[0]) == (described["Id"], described["Descriptor"]["digest"])
    assert all(kind.endswith(f"+{compression}") for kind in written.layer_types)

    ask = scene.skopeo.peer.run
    repository = f"docker://{scene.there('made')}"
    assert json.loads(ask("skopeo", "list-tags", "--tls-verify=false", repository))["Tags"] == ["2"]
    by_digest = f"{repository}@{written.manifests[0]}"
    assert (
        json.loads(ask("skopeo", "inspect", "--raw", "--tls-verify=false", by_digest))["config"]["digest"]
        == (described["Id"])
    )
    ask("skopeo", "delete", "--tls-verify=false", f"{repository}:2")
    assert jackstay.run("images", "-q") == ""
