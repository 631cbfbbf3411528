"""An image for several platforms, as skopeo copies all of it: kept here in whole, read by each in part or in whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.contents import skopeo_folder_id
from tests.interop.engines import Engines
from tests.interop.jackstay import Jackstay
from tests.lab.images import Image, architecture, busybox_base
from tests.lab.layer import Layer
from tests.lab.multi_platform import MultiPlatform, write_multi_platform

NAME = "docker.io/library/multi:1"
HERE = f"linux/{architecture()}"
OTHER = "linux/s390x"


@pytest.fixture(scope="module")
def multi(exchange: Path, tmp_path_factory: pytest.TempPathFactory) -> MultiPlatform:
    folder = tmp_path_factory.mktemp("multi")
    base = busybox_base(folder)
    images = {}
    for platform in (HERE, OTHER):
        with Layer(folder / f"{platform.replace('/', '-')}.tar") as layer:
            layer.file("etc/platform", f"{platform}\n")
        images[platform] = Image("multi:1", (*base.layers, layer.path), base.config, (*base.created_by, "a platform"))
    return write_multi_platform(exchange / "multi.tar", "multi:1", images)


def test_all_of_it_comes_and_goes(
    multi: MultiPlatform, jackstay: Jackstay, engines: dict[str, Engines], exchange: Path, tmp_path: Path
) -> None:
    skopeo, docker = engines["debian13"].skopeo, engines["debian13"].docker
    theirs = exchange / f"{tmp_path.name}.tar"
    keep = ("--all", "--preserve-digests", "--dest-oci-accept-uncompressed-layers")
    skopeo.copy(f"oci-archive:{multi.path}:{NAME}", f"oci-archive:{theirs}:{NAME}", *keep)
    assert jackstay.load(theirs, "--all-platforms") == ["multi:1"]
    described = jackstay.inspect("multi:1")
    assert (described["Id"], described["Descriptor"]["digest"]) == (multi.ids[HERE], multi.index)

    saved = jackstay.save(exchange / f"{tmp_path.name}-saved.tar", "--format", "oci", "multi:1")
    skopeo.copy(f"oci-archive:{saved}:{NAME}", f"oci-archive:{theirs}-again:{NAME}", *keep)
    for platform in (HERE, OTHER):
        target = exchange / f"{tmp_path.name}-{platform.replace('/', '-')}"
        skopeo.run("copy", "--quiet", f"oci-archive:{saved}:{NAME}", f"dir:{target}", platform=platform)
        assert skopeo_folder_id(target) == multi.ids[platform]
        one = jackstay.save(Path(f"{target}.tar"), "--platform", platform, "multi:1")
        docker.empty()
        docker.load(one)
        assert docker.id("multi:1") == multi.ids[platform]
    docker.empty()
    docker.load(jackstay.save(exchange / f"{tmp_path.name}-docker.tar", "multi:1"))
    assert docker.id("multi:1") == multi.ids[HERE]


def test_a_part_of_it_is_read(
    multi: MultiPlatform, jackstay: Jackstay, engines: dict[str, Engines], exchange: Path, tmp_path: Path
) -> None:
    """The index as it was, and what it names for other machines left out: skopeo and Podman take what is there."""
    jackstay.load(multi.path)
    saved = jackstay.save(exchange / f"{tmp_path.name}.tar", "--format", "oci", "multi:1")
    target = exchange / f"{tmp_path.name}"
    for each in engines.values():
        each.skopeo.copy(f"oci-archive:{saved}:{NAME}", f"dir:{target}-{each.skopeo.version}")
        assert skopeo_folder_id(Path(f"{target}-{each.skopeo.version}")) == multi.ids[HERE]
        each.podman.empty()
        assert each.podman.pull(f"oci-archive:{saved}:{NAME}") == multi.ids[HERE]
