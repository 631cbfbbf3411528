"""Archives that Podman and skopeo write: some with gzipped layers, some with a config that they have written anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.contents import contents
from tests.interop.engines import DEBIANS, Engines
from tests.interop.jackstay import Jackstay
from tests.interop.originals import Original


def every_docker_loads(engines: dict[str, Engines], archive: Path, name: str, image_id: str) -> None:
    """Load an archive into each Docker and compare."""
    for each in engines.values():
        each.docker.empty()
        each.docker.load(archive)
        assert each.docker.id(name) == image_id


@pytest.mark.parametrize("original", ["debian12"], indirect=True)
@pytest.mark.parametrize("writer", DEBIANS)
@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_podman_save(
    original: Original,
    jackstay: Jackstay,
    engines: dict[str, Engines],
    writer: str,
    form: str,
    exchange: Path,
    tmp_path: Path,
) -> None:
    podman = engines[writer].podman
    podman.empty()
    (name,) = podman.load(original.archives["made:2"])
    archive = podman.save(exchange / f"{tmp_path.name}.tar", form, name)
    written = contents(archive)
    image_id = written.configs[0] if written.configs else written.ids[name]

    assert jackstay.load(archive) == [name.removeprefix("docker.io/library/")]
    described = jackstay.inspect(name)
    assert described["Id"] == image_id
    assert described["RootFS"]["Layers"] == list(original.layers["made:2"])
    saved = contents(jackstay.save(exchange / f"{tmp_path.name}-again.tar", "--format", "oci", name))
    assert saved.configs == (image_id,)
    if form == "oci-archive":
        assert described["Descriptor"]["digest"] == written.manifests[0]
        assert saved.manifests == written.manifests

    podman.empty()
    (loaded,) = podman.load(exchange / f"{tmp_path.name}-again.tar")
    assert (loaded, podman.id(loaded)) == (name, image_id)
    assert podman.digest(loaded) == saved.manifests[0]
    every_docker_loads(engines, jackstay.save(exchange / f"{tmp_path.name}-docker.tar", name), name, image_id)


@pytest.mark.parametrize("original", ["debian13"], indirect=True)
def test_several_images_in_one_archive(
    original: Original, jackstay: Jackstay, engines: dict[str, Engines], exchange: Path, tmp_path: Path
) -> None:
    podman = engines["debian13"].podman
    podman.empty()
    jackstay.load(original.together)
    names = podman.load(jackstay.save(exchange / f"{tmp_path.name}.tar", "made", "imported:1"))
    found = {name: podman.id(name) for name in names}
    assert {name.rpartition("/")[2]: image_id for name, image_id in found.items()} == original.ids
    written = podman.save(exchange / f"{tmp_path.name}-theirs.tar", "docker-archive", *names)
    jackstay.empty()
    assert sorted(jackstay.load(written)) == sorted(names)
    assert {name: jackstay.inspect(name)["Id"] for name in names} == found


@pytest.mark.parametrize("original", ["debian13"], indirect=True)
@pytest.mark.parametrize("writer", DEBIANS)
def test_skopeo_writes_a_docker_archive(
    original: Original, jackstay: Jackstay, engines: dict[str, Engines], writer: str, exchange: Path, tmp_path: Path
) -> None:
    target = exchange / f"{tmp_path.name}.tar"
    source = f"docker-archive:{original.archives['made:2']}"
    engines[writer].skopeo.copy(source, f"docker-archive:{target}:docker.io/library/made:2")
    assert jackstay.load(target) == ["made:2"]
    assert jackstay.inspect("made:2")["Id"] == original.ids["made:2"]


@pytest.mark.parametrize("original", ["debian13"], indirect=True)
@pytest.mark.parametrize("writer", DEBIANS)
@pytest.mark.parametrize("form", ["oci", "oci-archive"])
def test_skopeo_copy(
    original: Original,
    jackstay: Jackstay,
    engines: dict[str, Engines],
    writer: str,
    form: str,
    exchange: Path,
    tmp_path: Path,
) -> None:
    target = exchange / tmp_path.name
    engines[writer].skopeo.copy(
        f"docker-archive:{original.archives['made:2']}", f"{form}:{target}:docker.io/library/made:2"
    )
    written = contents(target)
    assert all(kind.endswith("+gzip") for kind in written.layer_types)  # it compresses on the way to an OCI layout

    assert jackstay.load(target) == ["made:2"]
    described = jackstay.inspect("made:2")
    assert (described["Id"], described["Descriptor"]["digest"]) == (written.configs[0], written.manifests[0])
    assert described["RootFS"]["Layers"] == list(original.layers["made:2"])
    assert jackstay.tree("made:2") == original.trees["made:2"]

    saved = jackstay.save(Path(f"{target}-again.tar"), "made:2")
    assert contents(saved).manifests == written.manifests
    every_docker_loads(engines, saved, "made:2", written.configs[0])
