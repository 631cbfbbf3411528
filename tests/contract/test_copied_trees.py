"""Files that travel as cp has them: from a folder here into a container's, out of it again, here; and what hostile
archives and containers try on the way. Needs root."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import os
import random
import socket
import stat
import tarfile
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from jackstay.copying import local_extract, local_tar
from jackstay_agent.containers import copy_in, copy_out
from jackstay_agent.errors import Error, InvalidArchive, InvalidArgument, NotFound, WrongState
from jackstay_agent.kernel.spawner import Spawner
from jackstay_oci.tar.entries import Entry, Kind
from jackstay_oci.tar.writer import TarWriter
from tests.unit.agent.spawned import start_spawner

SECOND = 10**9


class Container:
    """A stopped container whose file system is a folder."""

    def __init__(self, jobs: Spawner, root: Path) -> None:
        self._jobs = jobs
        self.root = root
        self.mounts: list[list[Any]] = []
        self.read_only = False

    async def run(self, job: str, pipes: list[int], **argument: Any) -> Any:
        folder = os.open(self.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        view = {"live": False, "mounts": self.mounts, "read_only": self.read_only}
        try:
            return await self._jobs.run(job, view | argument, [*pipes, folder])
        finally:
            os.close(folder)

    async def copy_in(self, data: bytes, path: bytes, *, keep_owner: bool = False) -> None:
        source = os.memfd_create("tar")
        os.write(source, data)
        os.lseek(source, 0, os.SEEK_SET)
        told, telling = os.pipe()
        try:
            await self.run(copy_in.EXTRACT, [source, telling], path=path, keep_owner=keep_owner)
        finally:
            for descriptor in (source, told, telling):
                os.close(descriptor)

    async def copy_out(self, path: bytes, *, follow: bool = False) -> bytes:
        out = os.memfd_create("tar")
        try:
            await self.run(copy_out.WRITE, [out], path=path, follow=follow)
            data = os.pread(out, os.fstat(out).st_size, 0)
        finally:
            os.close(out)
        return data[4 + int.from_bytes(data[:4], "big") :]


@pytest.fixture
async def jobs() -> AsyncIterator[Spawner]:
    """A spawner that has the jobs imported, as the agent's."""
    spawner = start_spawner()
    yield spawner
    await spawner.close()


@pytest.fixture
def container(jobs: Spawner, tmp_path: Path) -> Container:
    root = tmp_path / "root"
    for name in ("etc", "there"):
        (root / name).mkdir(parents=True)
    return Container(jobs, root)


async def packed(path: Path, name: str) -> bytes:
    out = io.BytesIO()
    await asyncio.to_thread(local_tar.write_tar, str(path), name, out)
    return out.getvalue()


async def unpack(data: bytes, folder: Path, rebase: tuple[str, str] = (".", "."), *, keep_owner: bool = True) -> None:
    source = os.memfd_create("tar")
    try:
        os.write(source, data)
        os.lseek(source, 0, os.SEEK_SET)
        await asyncio.to_thread(local_extract.extract, source, str(folder), rebase, keep_owner=keep_owner)
    finally:
        os.close(source)


def facts(top: Path) -> dict[bytes, tuple[Any, ...]]:
    """All that a tree is, path by path; files that are one have one number."""
    found: dict[bytes, tuple[Any, ...]] = {}
    inodes: dict[int, int] = {}
    for at, folders, files in os.walk(os.fsencode(top)):
        folders.sort()
        for name in sorted([*folders, *files]):
            path = os.path.join(at, name)
            status = os.lstat(path)
            content: object = None
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = file.read(), {each: os.getxattr(path, each) for each in os.listxattr(path)}
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            file_number = None if stat.S_ISDIR(status.st_mode) else inodes.setdefault(status.st_ino, len(inodes))
            owner = status.st_uid, status.st_gid
            found[os.path.relpath(path, os.fsencode(top))] = (
                status.st_mode, owner, status.st_mtime_ns, status.st_rdev, content, file_number
            )  # fmt: skip
    return found


def grow(top: Path, chance: random.Random) -> None:
    """A tree with everything that a file can be."""
    folders, files = [os.fsencode(top)], []
    names = [b"a", b"-b", b"c d", b"\xff\xfe", "é".encode(), b"n" * 200, b".wh.x", b"\n", b"..x"]
    for number in range(chance.randrange(1, 60)):
        path = os.path.join(chance.choice(folders), chance.choice(names) + b"%d" % number)
        kind = chance.randrange(8)
        if kind <= 1:
            os.mkdir(path)
            folders.append(path)
        elif kind == 2:
            os.symlink(chance.choice([b"/etc/passwd", b"nowhere", b"../" * 9, b"x" * 150]), path)
        elif kind == 3 and files:
            os.link(chance.choice(files), path)
        elif kind == 4:
            os.mkfifo(path)
        elif kind == 5:
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        else:
            with open(path, "wb") as file:
                file.write(chance.randbytes(chance.choice([0, 1, 511, 512, 513, 70_000])))
            files.append(path)
            if chance.random() < 0.3:
                os.setxattr(path, "user.note", chance.randbytes(5))
    for path in reversed([*folders[1:], *files]):
        os.chown(path, chance.randrange(70_000), chance.randrange(70_000))
        os.chmod(path, chance.choice([0, 0o400, 0o555, 0o644, 0o755, 0o1777, 0o2755, 0o4755]))
        os.utime(path, ns=(0, chance.randrange(2_000_000_000 * SECOND)))


@pytest.mark.parametrize("seed", range(12))
async def test_a_tree_there_and_back_is_the_same(container: Container, tmp_path: Path, seed: int) -> None:
    here, back = tmp_path / "here", tmp_path / "back"
    here.mkdir()
    back.mkdir()
    grow(here, random.Random(seed))
    await container.copy_in(await packed(here, "tree"), b"/there", keep_owner=True)
    assert facts(container.root / "there/tree") == facts(here)
    await unpack(await container.copy_out(b"/there/tree"), back, ("tree", "again"))
    await unpack(await container.copy_out(b"/there/tree/."), back, (".", "contents"))
    assert facts(back / "again") == facts(back / "contents") == facts(here)


async def test_owners_are_roots_unless_kept(container: Container, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    os.chown(file, 1000, 1001)
    (container.root / "there").chmod(0o2777)
    os.chown(container.root / "there", 0, 50)
    await container.copy_in(await packed(file, "plain"), b"/there")
    await container.copy_in(await packed(file, "kept"), b"/there", keep_owner=True)
    owners = [
        (status.st_uid, status.st_gid)
        for name in ("plain", "kept")
        for status in [(container.root / "there" / name).stat()]
    ]
    assert owners == [(0, 0), (1000, 1001)]


async def test_a_merge_replaces_files_and_keeps_what_else_is_there(container: Container, tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / "sub").mkdir(parents=True)
    (here / "sub/file").write_bytes(b"new")
    (here / "sub").chmod(0o500)
    there = container.root / "there"
    (there / "here/sub").mkdir(parents=True)
    (there / "here/sub/file").symlink_to("/etc/victim")
    (there / "here/sub/other").write_bytes(b"other")
    (container.root / "etc/victim").write_bytes(b"whole")
    await container.copy_in(await packed(here, "here"), b"/there")
    assert (there / "here/sub/file").read_bytes() == b"new"
    assert not (there / "here/sub/file").is_symlink()
    assert (container.root / "etc/victim").read_bytes() == b"whole"
    assert (there / "here/sub/other").exists()
    assert stat.S_IMODE((there / "here/sub").stat().st_mode) == 0o500
    with pytest.raises(InvalidArgument, match="cannot overwrite directory"):
        await container.copy_in(await packed(here / "sub/file", "here"), b"/there")
    with pytest.raises(InvalidArgument, match="cannot overwrite non-directory"):
        await container.copy_in(await packed(here, "victim"), b"/etc")


def archive(*entries: tuple[Entry, bytes]) -> bytes:
    out = io.BytesIO()
    tar = TarWriter(out)
    for entry, content in entries:
        tar.add(entry, content)
    tar.close()
    return out.getvalue()


CLIMBING = [
    archive((Entry(name=b"../climbed", size=1), b"x")),
    archive((Entry(name=b"a/../../climbed", size=1), b"x")),
    archive((Entry(name=b"x", kind=Kind.HARDLINK, linkname=b"../root/etc/secret"), b"")),
    archive((Entry(name=b".."), b"")),
]


@pytest.mark.parametrize("data", CLIMBING)
async def test_names_that_climb_are_refused(container: Container, tmp_path: Path, data: bytes) -> None:
    (container.root / "etc/secret").write_bytes(b"s")
    with pytest.raises(InvalidArchive):
        await container.copy_in(data, b"/there")
    (tmp_path / "here").mkdir()
    with pytest.raises(InvalidArchive):
        await unpack(data, tmp_path / "here")
    assert not (tmp_path / "climbed").exists()
    assert not (container.root / "climbed").exists()


BESIDE = [
    archive((Entry(name=b"asked", size=1), b"x"), (Entry(name=b".bashrc", size=1), b"x")),
    archive((Entry(name=b"asked/../.bashrc", size=1), b"x")),
    archive((Entry(name=b"asked/secret", kind=Kind.HARDLINK, linkname=b"secret"), b"")),
]


@pytest.mark.parametrize("data", BESIDE)
@pytest.mark.parametrize("called", ["asked", "other"])
async def test_nothing_comes_beside_what_was_asked_for(tmp_path: Path, data: bytes, called: str) -> None:
    (tmp_path / "secret").write_bytes(b"s")
    with pytest.raises(InvalidArchive, match="was asked for"):
        await unpack(data, tmp_path, ("asked", called))
    assert not (tmp_path / ".bashrc").exists()
    assert (tmp_path / "secret").stat().st_nlink == 1


def through_a_link(target: bytes) -> bytes:
    return archive(
        (Entry(name=b"way", kind=Kind.SYMLINK, linkname=target), b""),
        (Entry(name=b"way/written", size=1), b"x"),
    )


async def test_links_of_an_archive_lead_around_inside(container: Container, tmp_path: Path) -> None:
    for number, target in enumerate((b"/etc", b"../../../../../../etc", os.fsencode(tmp_path))):
        (container.root / f"d{number}").mkdir()
        data = through_a_link(target)
        if number < 2:
            await container.copy_in(data, b"/d%d" % number)
            assert (container.root / "etc/written").read_bytes() == b"x"
            (container.root / "etc/written").unlink()
        else:
            with pytest.raises(Error):
                await container.copy_in(data, b"/d%d" % number)
        (tmp_path / f"here{number}").mkdir()
        with pytest.raises(Error):  # here none is followed at all
            await unpack(data, tmp_path / f"here{number}")
    assert not (tmp_path / "written").exists()
    assert not Path("/etc/written").exists()


async def flipping(container: Container, targets: list[str], work: Callable[[], Any]) -> None:
    """Do *work* while ``/flip`` is a link to each of *targets*, in turn."""
    stop = threading.Event()

    def turn() -> None:
        for target in itertools.cycle(targets):
            (container.root / "next").symlink_to(target)
            (container.root / "next").rename(container.root / "flip")
            if stop.is_set():
                return

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        await work()
    finally:
        stop.set()
        await asyncio.to_thread(thread.join)


async def test_a_link_that_flips_while_files_are_copied(container: Container, tmp_path: Path) -> None:
    """CVE-2018-15664: neither written nor read outside, however often it is tried."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"of the host")
    (tmp_path / "new").write_bytes(b"new")
    below, here = await packed(tmp_path / "new", "flip/new"), await packed(tmp_path / "new", "new")
    written = 0

    async def work() -> None:
        nonlocal written
        for _ in range(15):
            for data, path in ((below, b"/"), (here, b"/flip")):
                with contextlib.suppress(Error):
                    await container.copy_in(data, path)
                    written += 1
            with contextlib.suppress(Error):
                assert b"of the host" not in await container.copy_out(b"/flip/secret")

    await flipping(container, ["/there", str(outside), "there", "../outside", f"../../../../../../..{outside}"], work)
    assert written
    assert [path.name for path in outside.iterdir()] == ["secret"]


async def test_volumes_are_where_the_container_has_them(container: Container, tmp_path: Path) -> None:
    volume, locked = tmp_path / "volume", tmp_path / "locked"
    volume.mkdir()
    locked.mkdir()
    (locked / "read").write_bytes(b"r")
    config = tmp_path / "config"
    config.write_bytes(b"old")
    (container.root / "way").symlink_to(str(tmp_path))
    container.mounts = [
        [str(volume), "/data", False, True, True],
        [str(locked), "/made/locked", True, True, True],
        [str(config), "/etc/config", False, True, False],
        [str(volume), "/way/data", False, True, True],
    ]
    container.mounts.pop()
    new = tmp_path / "new"
    new.write_bytes(b"new")
    await container.copy_in(await packed(new, "new"), b"/data")
    assert (volume / "new").read_bytes() == b"new"
    await container.copy_in(await packed(new, "config"), b"/etc")
    assert config.read_bytes() == b"new"
    with pytest.raises(WrongState, match="read-only in the container"):
        await container.copy_in(await packed(new, "new"), b"/made/locked")
    with tarfile.open(fileobj=io.BytesIO(await container.copy_out(b"/made"))) as tar:
        assert tar.getnames() == ["made", "made/locked", "made/locked/read"]
    container.read_only = True
    with pytest.raises(WrongState, match="read-only in the container"):
        await container.copy_in(await packed(new, "new"), b"/etc")
    await container.copy_in(await packed(new, "again"), b"/data")
    assert sorted(path.name for path in volume.iterdir()) == ["again", "new"]


async def test_a_mount_point_that_is_a_link_out_lies_inside(container: Container, tmp_path: Path) -> None:
    """CVE-2026-42306: the volume is mounted in the container, not where its link leads on the host."""
    volume, outside = tmp_path / "volume", tmp_path / "outside"
    volume.mkdir()
    outside.mkdir()
    (container.root / "data").symlink_to("../outside")
    (container.root / "outside").mkdir()
    container.mounts = [[str(volume), "/data", False, True, True]]
    new = tmp_path / "new"
    new.write_bytes(b"new")
    await container.copy_in(await packed(new, "new"), b"/data/")
    assert (volume / "new").exists()
    assert list(outside.iterdir()) == []


async def test_what_a_path_is(container: Container) -> None:
    etc = container.root / "etc"
    (etc / "file").write_bytes(b"12345")
    (etc / "link").symlink_to("../../etc/to")
    (etc / "to").symlink_to("/there/nothing")
    (etc / "loop").symlink_to("loop")

    async def stat_path(path: bytes, *, follow: bool = False) -> Any:
        return await container.run(copy_out.STAT, [], path=path, follow=follow)

    assert (await stat_path(b"/etc/file"))["size"] == 5
    assert (await stat_path(b"etc/./file"))["name"] == b"file"
    assert (await stat_path(b"/etc/link"))["link_target"] == b"/there/nothing"
    assert await stat_path(b"/etc/link", follow=True) is None
    assert await stat_path(b"/none/at/all") is None
    assert stat.S_ISDIR((await stat_path(b"/"))["mode"])
    for path in (b"/etc/file/", b"/etc/file/x", b"/etc/loop/x"):
        with pytest.raises(InvalidArgument):
            await stat_path(path)


async def test_what_no_tar_can_hold_or_is_not_there(container: Container) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(container.root / "etc/socket"))
    with pytest.raises(InvalidArgument, match="is a socket"):
        await container.copy_out(b"/etc/socket")
    with pytest.raises(NotFound, match="Could not find the file /none"):
        await container.copy_out(b"/none")
    with pytest.raises(NotFound, match="Could not find the file /none"):
        await container.copy_in(archive(), b"/none")


async def test_a_pipe_and_a_device_are_not_opened(container: Container) -> None:
    os.mkfifo(container.root / "etc/pipe")
    os.mknod(container.root / "etc/disk", stat.S_IFBLK | 0o600, os.makedev(7, 200))
    with tarfile.open(fileobj=io.BytesIO(await container.copy_out(b"/etc"))) as tar:
        assert [(member.name, member.isfifo(), member.isblk()) for member in tar.getmembers()[1:]] == [
            ("etc/disk", False, True),
            ("etc/pipe", True, False),
        ]
    with tarfile.open(fileobj=io.BytesIO(await container.copy_out(b"/etc/pipe"))) as tar:
        assert tar.getmembers()[0].isfifo()
