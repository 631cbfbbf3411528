"""What is particular to snapshots on btrfs: real subvolumes, also those that a container makes. Root needed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jackstay_agent.config import Limits
from jackstay_agent.errors import NotFound
from jackstay_agent.kernel import btrfs
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers.btrfs import BtrfsSnapshotter
from jackstay_agent.layers.snapshotter import Applied
from jackstay_agent.metadata.database import Database
from jackstay_oci.digest import Digest
from tests.unit.agent.layers.drivers import root_for
from tests.unit.agent.layers.layer_tars import blob, file, folder, tar


@pytest.fixture
def layers(tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts) -> Iterator[BtrfsSnapshotter]:
    with root_for("btrfs", tmp_path / "layers") as root:
        yield BtrfsSnapshotter(str(root), database, jobs, mounts, Limits())


@pytest.fixture
def snapshots(tmp_path: Path) -> Path:
    return tmp_path / "layers/snapshots"


async def base(layers: BtrfsSnapshotter, size: int = 1) -> Path:
    descriptor = blob(tar([folder("d"), file("d/a", os.urandom(size))]))
    await layers.prepare("extract-1", None)
    made = await layers.commit("extract-1", "base", await layers.apply("extract-1", descriptor, "none"))
    os.close(descriptor)
    return Path(layers._folders.path(made.id))


def subvolumes(at: Path) -> list[str]:
    """As the filesystem's own program lists them."""
    told = subprocess.run(["btrfs", "subvolume", "list", at], check=True, capture_output=True, text=True).stdout
    return [line.split(" path ")[1] for line in told.splitlines()]


def make_subvolume(path: Path) -> Path:
    subprocess.run(["btrfs", "-q", "subvolume", "create", path], check=True)
    return path


async def test_a_snapshot_is_a_subvolume_and_a_committed_one_read_only(
    layers: BtrfsSnapshotter, snapshots: Path, tmp_path: Path
) -> None:
    below = await base(layers)
    with pytest.raises(OSError, match="Read-only"):
        (below / "new").touch()
    made = await layers.prepare("container-1", "base")
    own = snapshots / str(made.id) / "fs"
    assert subvolumes(snapshots) == ["snapshots/1/fs", "snapshots/2/fs"]
    (own / "d/a").write_bytes(b"changed")
    assert (below / "d/a").read_bytes() != b"changed"
    await layers.remove("container-1")
    await layers.remove("base")
    assert subvolumes(snapshots) == []
    assert os.listdir(snapshots) == []


async def test_a_copy_takes_no_room(layers: BtrfsSnapshotter, snapshots: Path) -> None:
    await base(layers, 40 << 20)
    os.sync()
    before = os.statvfs(snapshots).f_bfree
    for number in range(10):
        await layers.prepare(f"container-{number}", "base")
    os.sync()
    assert (before - os.statvfs(snapshots).f_bfree) * os.statvfs(snapshots).f_bsize < 8 << 20


async def test_a_commit_that_failed_can_be_written_to_again(layers: BtrfsSnapshotter, tmp_path: Path) -> None:
    def refuse(_connection: object) -> None:
        raise NotFound("no")

    await layers.prepare("container-1", None)
    with pytest.raises(NotFound):
        await layers.commit("container-1", "one", Applied(Digest.of(b""), 0, 0), along=refuse)
    (tmp_path / "at").mkdir()
    await layers.mount("container-1", str(tmp_path / "at"))
    (tmp_path / "at/new").touch()


async def test_subvolumes_of_a_container_go_with_it(layers: BtrfsSnapshotter, snapshots: Path, tmp_path: Path) -> None:
    """In one another, read-only ones too, with names that mean to lead elsewhere, and only those inside."""
    outside = make_subvolume(tmp_path / "layers/outside")
    (outside / "kept").touch()
    made = await layers.prepare("container-1", None)
    top = snapshots / str(made.id) / "fs"
    inner = make_subvolume(make_subvolume(top / "one") / "-two\n..")
    (inner / "deep").mkdir()
    make_subvolume(inner / "deep/three")
    (top / "way").symlink_to(outside)
    for path in (inner, top / "one"):
        subprocess.run(["btrfs", "property", "set", "-t", "subvol", path, "ro", "true"], check=True)
    await layers.remove("container-1")
    assert os.listdir(snapshots) == []
    assert subvolumes(snapshots) == ["outside"]
    assert os.listdir(outside) == ["kept"]


async def test_what_lies_in_a_subvolume_of_a_container_is_in_its_layer(
    layers: BtrfsSnapshotter, snapshots: Path
) -> None:
    await base(layers)
    made = await layers.prepare("container-1", "base")
    top = snapshots / str(made.id) / "fs"
    inner = make_subvolume(top / "inner")
    (inner / "x").write_bytes(b"x")
    os.link(inner / "x", inner / "y")
    (top / "d/x").write_bytes(b"other")
    os.link(top / "d/x", top / "d/y")
    out = blob(b"")
    await layers.diff("container-1", out)
    listed = subprocess.run(
        ["tar", "-tvf", "-"], input=os.pread(out, 1 << 20, 0), capture_output=True, check=True
    ).stdout.decode()
    os.close(out)
    names = [line.split(None, 5)[5] for line in listed.splitlines()]
    assert names == ["d/", "d/x", "d/y link to d/x", "inner/", "inner/x", "inner/y link to inner/x"]


async def test_rubbish_with_subvolumes_is_swept(layers: BtrfsSnapshotter, snapshots: Path) -> None:
    await base(layers)
    (snapshots / "new-1").mkdir()
    make_subvolume(make_subvolume(snapshots / "new-1/fs") / "inner")
    (snapshots / "removing-7").mkdir()
    assert await layers.clean() == 2
    assert os.listdir(snapshots) == ["1"]
    assert subvolumes(snapshots) == ["snapshots/1/fs"]


def test_elsewhere_it_says_that_it_is_no_btrfs(tmp_path: Path) -> None:
    folder = os.open("/dev/shm", os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert not btrfs.is_subvolume(folder)
        with pytest.raises(OSError, match="not a btrfs"):
            btrfs.create(folder, b"x")
        with pytest.raises(OSError, match="Invalid argument"):
            btrfs.create(folder, b"a/b")
    finally:
        os.close(folder)
