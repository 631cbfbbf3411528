"""What copying a whole tree keeps, with contents shared where the filesystem can, and without. Root needed."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers import copy_mark
from tests.unit.agent.layers.drivers import new_filesystem
from tests.unit.agent.layers.layer_tars import snapshot
from tests.unit.agent.layers.test_diff import grow

FILESYSTEMS = ["ext4", "btrfs"]
SHARING = ["btrfs"]


@pytest.fixture
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    at = tmp_path / "disk"
    at.mkdir()
    with new_filesystem(request.param, at):
        (at / "source").mkdir()
        (at / "beside/fs").mkdir(parents=True)
        yield at


async def copy(jobs: Spawner, disk: Path) -> Path:
    descriptors = [os.open(disk / name, os.O_RDONLY | os.O_DIRECTORY) for name in ("source", "beside/fs")]
    try:
        await jobs.run("jackstay_agent.layers.copying:copy_tree", None, descriptors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return disk / "beside/fs"


def fill(source: Path) -> None:
    grow(source, random.Random(1), 150)
    (source / "set").write_bytes(b"s")
    os.chown(source / "set", 1000, 2**31 - 1)
    os.setxattr(source / "set", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    os.setxattr(source / "set", "user.note", b"n")
    (source / "set").chmod(0o6755)
    os.mknod(source / "device", 0o060640, os.makedev(8, 1))
    os.chown(source / "device", 0, 6)
    os.mkfifo(source / "fifo")
    os.chmod(source / "fifo", 0o4604)
    for name in ("fifo", "set"):
        os.link(source / name, source / f"{name}-too")
        os.utime(source / name, ns=(0, 1_234_567_890_123_456_789))
    (source / "nowhere").symlink_to("/nowhere/at/all")
    os.lchown(source / "nowhere", 5, 6)
    with (source / "sparse").open("wb") as holes:
        holes.truncate(60 << 20)
        holes.seek(20 << 20)
        holes.write(b"middle")
    (source / "folder").mkdir()
    os.setxattr(source / "folder", "user.note", b"f")
    (source / "folder").chmod(0o2711)
    os.utime(source / "folder", ns=(0, 987_654_321))


@pytest.mark.parametrize("disk", FILESYSTEMS, indirect=True)
async def test_everything_is_kept(jobs: Spawner, disk: Path) -> None:
    fill(disk / "source")
    made = await copy(jobs, disk)
    assert snapshot(str(made)) == snapshot(str(disk / "source"))
    assert os.stat(made).st_mtime_ns == os.stat(disk / "source").st_mtime_ns
    assert os.stat(made / "sparse").st_blocks * 512 < 1 << 20
    folder = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    mark = await asyncio.to_thread(copy_mark.read, folder)
    os.close(folder)
    assert mark.since >= max(os.lstat(each).st_ctime_ns for each in made.rglob("*"))
    assert mark.copied[os.stat(disk / "source/set").st_ino] == os.stat(made / "set").st_ino


@pytest.mark.parametrize("disk", FILESYSTEMS, indirect=True)
async def test_contents_are_shared_where_the_filesystem_can(jobs: Spawner, disk: Path) -> None:
    (disk / "source/large").write_bytes(os.urandom(64 << 20))
    os.sync()
    before = os.statvfs(disk).f_bfree * os.statvfs(disk).f_bsize
    made = await copy(jobs, disk)
    os.sync()
    taken = before - os.statvfs(disk).f_bfree * os.statvfs(disk).f_bsize
    assert (taken < 16 << 20) == (_kind(disk) in SHARING)
    (made / "large").write_bytes(b"changed")
    assert (disk / "source/large").stat().st_size == 64 << 20


@pytest.mark.parametrize("disk", ["ext4"], indirect=True)
async def test_links_are_not_followed_and_sockets_left_out(jobs: Spawner, disk: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    (disk / "source/way").symlink_to(tmp_path / "outside")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(disk / "source/socket"))
    made = await copy(jobs, disk)
    assert os.listdir(made) == ["way"]
    assert (made / "way").is_symlink()


@pytest.mark.parametrize("disk", ["ext4"], indirect=True)
async def test_depth_costs_no_descriptors(jobs: Spawner, disk: Path) -> None:
    deepest = disk / "source"
    for _ in range(1500):
        deepest /= "d"
        deepest.mkdir()
    (deepest / "end").touch()
    made = await copy(jobs, disk)
    assert (made / deepest.relative_to(disk / "source") / "end").exists()


def _kind(disk: Path) -> str:
    for line in Path("/proc/mounts").read_text().splitlines():
        _, at, kind = line.split()[:3]
        if at == str(disk):
            return kind
    raise AssertionError(disk)
