"""OCI folders, exchanged with skopeo, Podman and umoci; and what umoci makes of an image of ours."""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from tests.interop.contents import contents, skopeo_folder_id
from tests.interop.engines import DEBIANS, Engines
from tests.interop.jackstay import Jackstay
from tests.interop.originals import Original
from tests.interop.trees import Tree, tree_of_folder
from tests.interop.umoci import Umoci

NAME = "docker.io/library/made:2"


def comparable(tree: Tree, linked: Collection[str]) -> Tree:
    """Without what is not the image's: overlay counts hidden links, and engines make folders that a layer only implies.

    Nor with what umoci takes otherwise: a file of several names keeps the mode of the first.
    """
    return {
        path: replace(
            file,
            links=0,
            modified=0 if stat.S_ISDIR(file.mode) else file.modified,
            mode=stat.S_IFMT(file.mode) if path in linked else file.mode,
        )
        for path, file in tree.items()
    }


@pytest.fixture
def layout(original: Original, jackstay: Jackstay, exchange: Path, tmp_path: Path) -> Path:
    """``made:1`` and ``made:2``, copied from a host into one folder, one after the other."""
    jackstay.load(original.together)
    folder = exchange / f"layout-{tmp_path.name}"
    for name in ("made:1", "made:2"):
        jackstay.copy(f"web1::{name}", f"oci:{folder}")
    return folder


@pytest.mark.parametrize("original", ["debian13"], indirect=True)
@pytest.mark.parametrize("reader", DEBIANS)
def test_skopeo_and_podman_read_a_folder(
    layout: Path, original: Original, engines: dict[str, Engines], reader: str
) -> None:
    podman, skopeo = engines[reader].podman, engines[reader].skopeo
    podman.empty()
    for name in ("made:1", "made:2"):
        source = f"oci:{layout}:docker.io/library/{name}"
        assert podman.pull(source) == original.ids[name]
        target = Path(f"{layout}-{name.replace(':', '-')}")
        skopeo.copy(source, f"dir:{target}")
        assert skopeo_folder_id(target) == original.ids[name]


@pytest.mark.parametrize("original", ["debian13"], indirect=True)
def test_umoci_unpacks_what_docker_shows(
    layout: Path, original: Original, umoci: Umoci, jackstay: Jackstay, tmp_path: Path
) -> None:
    assert sorted(umoci.names(layout)) == ["docker.io/library/made:1", NAME]
    found = tree_of_folder(umoci.unpack(layout, NAME, tmp_path / "bundle"))
    linked = {path for path, file in original.trees["made:2"].items() if file.links > 1}
    assert comparable(found, linked) == comparable(original.trees["made:2"], linked)
    archive = jackstay.save(tmp_path / "saved.tar", "--format", "oci", "made:2")
    (unpacked := tmp_path / "unpacked").mkdir()
    shutil.unpack_archive(archive, unpacked, "tar")
    assert umoci.names(unpacked) == [NAME]
    assert tree_of_folder(umoci.unpack(unpacked, NAME, tmp_path / "again")) == found


@pytest.mark.parametrize("original", ["debian13"], indirect=True)
def test_what_umoci_packs_is_read(
    layout: Path, original: Original, umoci: Umoci, jackstay: Jackstay, engines: dict[str, Engines], tmp_path: Path
) -> None:
    root = umoci.unpack(layout, NAME, tmp_path / "bundle")
    script = (
        "rm -r usr/share/docs etc/issue var/empty; mkdir usr/share/docs; echo new >usr/share/docs/again;"
        "ln usr/share/docs/again usr/again; echo file >var/empty; rm etc/dangling; mkdir etc/dangling;"
        "chmod 4750 bin/busybox; mv usr/share/precise usr/share/moved; mkfifo usr/pipe; touch etc/überschrift"
    )
    subprocess.run(["sh", "-ec", script], cwd=root, check=True)
    umoci.repack(layout, "docker.io/library/packed:1", tmp_path / "bundle")
    written = contents(layout)
    assert sorted(jackstay.load(layout)) == ["made:1", "made:2", "packed:1"]
    described = jackstay.inspect("packed:1")
    assert (described["Id"], described["Descriptor"]["digest"]) == (written.configs[-1], written.manifests[-1])
    assert jackstay.inspect("made:2")["Id"] == original.ids["made:2"]
    tree = jackstay.tree("packed:1")
    assert tree.keys() == tree_of_folder(root).keys()
    saved = jackstay.save(Path(f"{layout}.tar"), "packed:1")
    for each in engines.values():
        each.docker.empty()
        each.docker.load(saved)
        assert each.docker.id("packed:1") == written.configs[-1]
        assert comparable(each.docker.tree("packed:1"), ()) == comparable(tree, ())


@pytest.mark.parametrize("original", ["debian13"], indirect=True)
@pytest.mark.parametrize("writer", DEBIANS)
def test_podman_writes_a_folder(
    original: Original, jackstay: Jackstay, engines: dict[str, Engines], writer: str, exchange: Path, tmp_path: Path
) -> None:
    podman = engines[writer].podman
    podman.empty()
    (name,) = podman.load(original.archives["made:2"])
    folder = podman.save(exchange / tmp_path.name, "oci-dir", name)
    written = contents(folder)
    (loaded,) = jackstay.load(folder)
    assert loaded in ("made:2", written.configs[0])  # some write no name
    described = jackstay.inspect(loaded)
    assert (described["Id"], described["Descriptor"]["digest"]) == (written.configs[0], written.manifests[0])
    assert described["RootFS"]["Layers"] == list(original.layers["made:2"])
