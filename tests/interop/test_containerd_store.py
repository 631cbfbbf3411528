"""Docker with containerd's image store, as Docker 29 has it unless told otherwise: ids are digests of manifests there,
archives are OCI layouts with indexes of several platforms, and OCI archives are read, too."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.contents import contents
from tests.interop.docker import Docker
from tests.interop.engines import Engines
from tests.interop.install import install
from tests.interop.jackstay import Jackstay
from tests.interop.originals import Original
from tests.interop.peer import Peer
from tests.lab.images import Image, architecture, busybox_base
from tests.lab.lab import Lab
from tests.lab.layer import Layer
from tests.lab.multi_platform import write_multi_platform

CHANGES = "echo more >/etc/more; rm /etc/issue; ln /etc/more /more"


@pytest.fixture(scope="module")
def docker(engines: dict[str, Engines], exchange: Path) -> Iterator[Docker]:
    with Lab(1, agent=None) as lab:
        started = Docker(Peer.of_folder("containerd", lab.hosts["web1"], exchange, install()))
        started.start(containerd_snapshotter=True)
        assert "io.containerd.snapshotter.v1" in started.ask("info", "--format", "{{json .DriverStatus}}")
        yield started
        started.stop()


@pytest.mark.parametrize("original", ["debian13"], indirect=True)
def test_there_and_back(original: Original, docker: Docker, jackstay: Jackstay, exchange: Path, tmp_path: Path) -> None:
    docker.load(original.archives["made:2"])
    assert docker.id("made:2") == contents(original.archives["made:2"]).manifests[0]
    docker.commit_changes("made:2", CHANGES, "made:3")
    archive = docker.save(exchange / f"{tmp_path.name}.tar", "made:2", "made:3")
    assert sorted(jackstay.load(archive)) == ["made:2", "made:3"]
    roots = {name: docker.id(name) for name in ("made:2", "made:3")}
    tree = docker.tree("made:3")
    assert {name: jackstay.inspect(name)["Descriptor"]["digest"] for name in roots} == roots
    assert jackstay.tree("made:3") == tree

    for form in ("docker", "oci"):
        docker.empty()
        docker.load(jackstay.save(exchange / f"{tmp_path.name}-{form}.tar", "--format", form, "made:2", "made:3"))
        assert {name: docker.id(name) for name in roots} == roots
    assert docker.tree("made:3") == tree
    docker.empty()


def test_an_image_for_several_platforms(docker: Docker, jackstay: Jackstay, exchange: Path, tmp_path: Path) -> None:
    base = busybox_base(tmp_path)
    images = {}
    for platform in (f"linux/{architecture()}", "linux/s390x"):
        with Layer(tmp_path / f"{platform.replace('/', '-')}.tar") as layer:
            layer.file("etc/platform", f"{platform}\n")
        images[platform] = Image("multi:1", (*base.layers, layer.path), base.config, (*base.created_by, "a platform"))
    multi = write_multi_platform(exchange / f"{tmp_path.name}.tar", "multi:1", images)
    assert jackstay.load(multi.path, "--all-platforms") == ["multi:1"]
    docker.load(jackstay.save(exchange / f"{tmp_path.name}-whole.tar", "multi:1"))
    assert docker.id("multi:1") == multi.index
    theirs = docker.save(exchange / f"{tmp_path.name}-theirs.tar", "multi:1")
    jackstay.empty()
    assert jackstay.load(theirs, "--all-platforms") == ["multi:1"]
    saved = jackstay.save(exchange / f"{tmp_path.name}-again.tar", "--format", "oci", "multi:1")
    assert jackstay.inspect("multi:1")["Descriptor"]["digest"] == multi.index
    assert {f"blobs/{digest.replace(':', '/')}" for digest in multi.manifests.values()} <= set(_names(saved))


def _names(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return tar.getnames()
