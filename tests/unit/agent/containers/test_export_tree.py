"""A tree as a tar, by the job. Needs root."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import stat
import tarfile
from pathlib import Path

import pytest

from jackstay_agent.containers import export_tree
from jackstay_agent.containers.exporting import JOB
from jackstay_agent.errors import Busy, Error
from jackstay_agent.kernel import syscalls
from jackstay_agent.kernel.spawner import Spawner
from jackstay_oci.tar.entries import Entry, Kind
from jackstay_oci.tar.reader import TarReader
from jackstay_oci.tar.writer import TarWriter

NET_BIND = bytes.fromhex("0100000200040000" + "00" * 12)
TIME = 1_700_000_000_123_456_789


async def export(jobs: Spawner, root: Path) -> bytes:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    folder = await asyncio.to_thread(os.open, root, os.O_PATH | os.O_DIRECTORY)

    def drain() -> bytes:
        with open(reading, "rb") as pipe:
            return pipe.read()

    reader = asyncio.ensure_future(asyncio.to_thread(drain))
    try:
        await jobs.run(JOB, None, [folder, writing])
    finally:
        os.close(writing)
        os.close(folder)
        data = await reader
    return data


def entries(data: bytes) -> dict[bytes, Entry]:
    return {entry.name: entry for entry in TarReader(io.BytesIO(data))}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    made.mkdir(mode=0o711)
    return made


async def test_everything_that_a_file_can_be(jobs: Spawner, root: Path) -> None:
    top = os.fsencode(root)
    (root / "b").mkdir()
    (root / "b" / "file").write_bytes(b"content")
    os.link(root / "b" / "file", root / "z")
    os.chown(root / "z", 12, 3_000_000)
    os.setxattr(root / "z", "security.capability", NET_BIND)
    os.setxattr(root / "z", "user.note", b"\0\xff")
    os.setxattr(root / "z", "trusted.host", b"not of the tree")
    os.chmod(root / "z", 0o4751)
    os.symlink("../nowhere/" + "l" * 150, root / "link")
    os.mkfifo(root / "pipe", 0o640)
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "disk", stat.S_IFBLK | 0o600, os.makedev(7, 200))
    with open(top + b"/\xff\xfe", "wb") as unnameable:
        unnameable.write(b"x" * 300_000)
    (root / ("n" * 250)).touch()
    (root / ".wh.b").touch()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(root / "socket"))
    listening.close()
    for name in (b"/z", b"/b", b"/link", b""):
        os.utime(top + name, ns=(TIME, TIME), follow_symlinks=False)
    found = entries(await export(jobs, root))
    assert list(found) == [
        b"./", b".wh.b", b"disk", b"link", b"n" * 250, b"null", b"pipe", b"z", b"\xff\xfe", b"b/", b"b/file",
    ]  # fmt: skip
    file = found[b"z"]
    assert (file.mode, file.uid, file.gid, file.size, file.mtime_ns) == (0o4751, 12, 3_000_000, 7, TIME)
    assert file.xattrs == {b"security.capability": NET_BIND, b"user.note": b"\0\xff"}
    again = found[b"b/file"]
    assert (again.kind, again.linkname, again.xattrs) == (Kind.HARDLINK, b"z", file.xattrs)
    assert (found[b"link"].linkname, found[b"link"].mtime_ns) == (b"../nowhere/" + b"l" * 150, TIME)
    assert (found[b"null"].kind, found[b"null"].devmajor, found[b"null"].devminor) == (Kind.CHARACTER, 1, 3)
    assert (found[b"disk"].kind, found[b"disk"].devmajor, found[b"disk"].devminor) == (Kind.BLOCK, 7, 200)
    assert (found[b"pipe"].kind, found[b"pipe"].mode) == (Kind.FIFO, 0o640)
    assert (found[b"./"].mode, found[b"./"].mtime_ns, found[b"b/"].mtime_ns) == (0o711, TIME, TIME)


async def test_any_tar_reads_it_and_it_is_the_same_again(jobs: Spawner, root: Path) -> None:
    for number in range(30):
        (root / f"folder{number:02}" / "inner").mkdir(parents=True)
        (root / f"folder{number:02}" / "inner" / "file").write_bytes(os.urandom(number * 20_000))
    data = await export(jobs, root)
    assert data == await export(jobs, root)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for number in range(30):
            name = f"folder{number:02}/inner/file"
            stream = archive.extractfile(name)
            assert stream is not None
            assert stream.read() == (root / name).read_bytes()


async def test_links_lead_nowhere_outside(jobs: Spawner, root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    os.symlink(tmp_path, root / "out")
    os.symlink("/", root / "top")
    data = await export(jobs, root)
    assert list(entries(data)) == [b"./", b"out", b"top"]
    assert b"secret" not in data


async def test_other_file_systems_are_not_entered(jobs: Spawner, root: Path, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "data").write_bytes(b"data")
    (root / "mounted").mkdir()
    syscalls.mount(str(volume), str(root / "mounted"), None, syscalls.MS_BIND)
    try:
        assert list(entries(await export(jobs, root))) == [b"./", b"mounted/"]
    finally:
        syscalls.umount(str(root / "mounted"))


async def test_a_reader_who_goes_away(jobs: Spawner, root: Path) -> None:
    (root / "large").write_bytes(bytes(4 << 20))
    reading, writing = os.pipe2(os.O_CLOEXEC)
    folder = await asyncio.to_thread(os.open, root, os.O_PATH | os.O_DIRECTORY)
    running = asyncio.ensure_future(jobs.run(JOB, None, [folder, writing]))
    os.close(writing)
    await asyncio.to_thread(os.read, reading, 100)
    os.close(reading)
    with pytest.raises(Error):
        await running
    os.close(folder)


class _Into:
    """Where a tar goes, and what happens to the tree after each piece."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes, /) -> None:
        self.data += data


def walk(root: Path, into: _Into) -> bytes:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        tar = TarWriter(into, nanoseconds=True)
        export_tree.Walk(descriptor, tar, lambda: None).run()
    finally:
        os.close(descriptor)
    return bytes(into.data)


def test_a_file_that_grows_is_cut_and_what_vanishes_is_left_out(root: Path) -> None:
    for name in ("a", "b", "c"):
        (root / name).write_bytes(b"12345")
        os.utime(root / name, (1, 1))  # so that nothing comes before its header
    (root / "folder").mkdir()

    class Meddling(_Into):
        def write(self, data: bytes, /) -> None:
            if data.startswith(b"a\0"):
                (root / "b").unlink(missing_ok=True)
                (root / "folder").rmdir()
            if data.startswith(b"c\0"):
                with open(root / "c", "ab") as file:
                    file.write(b"more")
            super().write(data)

    data = walk(root, Meddling())
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert {member.name: member.size for member in archive} == {".": 0, "a": 5, "c": 5}


def test_a_file_that_shrinks_is_an_error(root: Path) -> None:
    (root / "log").write_bytes(bytes(1 << 20))
    os.utime(root / "log", (1, 1))

    class Meddling(_Into):
        def write(self, data: bytes, /) -> None:
            if data.startswith(b"log\0"):
                os.truncate(root / "log", 10)
            super().write(data)

    with pytest.raises(Busy, match="'log' changed while it was read"):
        walk(root, Meddling())


@pytest.mark.parametrize("defended", [True, False])
def test_a_link_that_takes_a_folders_place_leads_nowhere(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"of the host")
    (root / "a").write_bytes(b"12345")
    os.utime(root / "a", (1, 1))
    (root / "Folder").mkdir()  # which is seen before "a" and entered after it

    class Meddling(_Into):
        def write(self, data: bytes, /) -> None:
            if data.startswith(b"a\0"):
                (root / "Folder").rmdir()
                (root / "Folder").symlink_to(tmp_path / "outside")
            super().write(data)

    if not defended:
        monkeypatch.setattr(export_tree, "_INSIDE", 0)
    assert (b"of the host" in walk(root, Meddling())) is not defended
