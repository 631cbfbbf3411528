"""What a layer can say, one by one and both ways: unpacked as it says, and said again of what a container did.

The random trees of `test_round_trips` hold all of it together; here is each with its bound. Root needed.
"""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.errors import InvalidArchive, InvalidArgument, Unsupported
from jackstay_oci.tar.entries import MAX_ID, Entry, Kind
from jackstay_oci.tar.reader import TarReader
from tests.fuzz import raw_tar
from tests.unit.agent.layers.layer_tars import SECOND, file, folder, link, node, tar
from tests.unit.agent.layers.test_diff import Stack, stack

__all__ = ["stack"]
Unpack = Callable[..., Any]
END = bytes(1024)
LONG = "d" * 100 + "/" + "e" * 150 + "/" + "f" * 200


async def changed(stack: Stack) -> list[Entry]:
    return list(TarReader(io.BytesIO((await stack.diff())[1])))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (raw_tar.pax(raw_tar.record(b"path", LONG.encode())) + raw_tar.entry(content=b"x"), (LONG, b"x", 0, 1.0)),
        (raw_tar.entry(b"L", LONG.encode() + b"\0") + raw_tar.entry(content=b"x"), (LONG, b"x", 0, 1.0)),
        (raw_tar.entry(name=b"f" * 99, prefix=b"d" * 150, content=b"x"), ("d" * 150 + "/" + "f" * 99, b"x", 0, 1.0)),
        (raw_tar.pax(raw_tar.record(b"size", b"1")) + raw_tar.header() + b"x".ljust(512, b"\0"), ("a", b"x", 0, 1.0)),
        (raw_tar.pax(raw_tar.record(b"uid", b"%d" % MAX_ID)) + raw_tar.entry(content=b"x"), ("a", b"x", MAX_ID, 1.0)),
        (raw_tar.entry(content=b"x", uid=b"\x80" + MAX_ID.to_bytes(7, "big")), ("a", b"x", MAX_ID, 1.0)),
        (raw_tar.pax(raw_tar.record(b"mtime", b"7.25")) + raw_tar.entry(content=b"x"), ("a", b"x", 0, 7.25)),
        (raw_tar.entry(content=b"x", mtime=b"\xff" * 11 + b"\xfe"), ("a", b"x", 0, -2.0)),
        (raw_tar.entry(content=b"x", mtime=b"\x80" + (1 << 33).to_bytes(11, "big")), ("a", b"x", 0, float(1 << 33))),
        (raw_tar.entry(name=b"\xff\xfe", content=b"x"), (os.fsdecode(b"\xff\xfe"), b"x", 0, 1.0)),
        (raw_tar.entry(b"7", name=b"a", content=b"x"), ("a", b"x", 0, 1.0)),
        (raw_tar.entry(b"\0", name=b"a", magic=b"", content=b"x"), ("a", b"x", 0, 1.0)),
    ],
)  # fmt: skip
async def test_forms_of_headers(unpack: Unpack, tmp_path: Path, data: bytes, expected: tuple[Any, ...]) -> None:
    """PAX and GNU long names, ustar's prefix, sizes and owners beyond octal, times of all ages."""
    await unpack(data + END)
    name, content, owner, mtime = expected
    made = tmp_path / "fs" / name
    status = made.stat()
    assert (made.read_bytes(), status.st_uid, status.st_mtime_ns) == (content, owner, int(mtime * SECOND))


@pytest.mark.parametrize("form", ["pax", "gnu"])
async def test_a_long_link_target(unpack: Unpack, tmp_path: Path, form: str) -> None:
    target = b"t/" * 1000 + b"t"
    head = raw_tar.entry(b"K", target + b"\0") if form == "gnu" else raw_tar.pax(raw_tar.record(b"linkpath", target))
    await unpack(head + raw_tar.header(b"2") + END)
    assert os.readlink(os.fsencode(tmp_path / "fs/a")) == target


@pytest.mark.parametrize("form", ["gnu", "0.0", "0.1", "1.0"])
async def test_sparse_files_keep_their_holes(unpack: Unpack, tmp_path: Path, form: str) -> None:
    with open(tmp_path / "sparse", "wb") as holes:
        for at in range(1, 30):
            holes.seek(at << 20)
            holes.write(b"data %d" % at)
        holes.truncate(64 << 20)
    options = ["--format=gnu"] if form == "gnu" else ["--format=pax", f"--sparse-version={form}"]
    subprocess.run(["tar", "-C", tmp_path, "-cSf", tmp_path / "s.tar", *options, "sparse"], check=True)
    await unpack((tmp_path / "s.tar").read_bytes())
    made = tmp_path / "fs/sparse"
    assert made.read_bytes() == (tmp_path / "sparse").read_bytes()
    assert made.stat().st_blocks * 512 < 2 << 20


async def test_a_sparse_file_of_a_container_comes_whole(stack: Stack) -> None:
    await stack.begin(tar([]))
    with open(stack.root / "sparse", "wb") as holes:
        holes.seek(3 << 20)
        holes.write(b"end")
    (told, data) = await stack.diff()
    assert told.size > 3 << 20  # no engine writes holes, and not every one reads them
    reader = TarReader(io.BytesIO(data))
    (entry,) = [next(reader)]
    assert (entry.size, reader.read()) == ((3 << 20) + 3, bytes(3 << 20) + b"end")


@pytest.mark.parametrize("field", ["uid", "gid"])
@pytest.mark.parametrize("form", ["pax", "base-256"])
async def test_an_owner_above_the_bound(unpack: Unpack, tmp_path: Path, field: str, form: str) -> None:
    head = raw_tar.pax(raw_tar.record(field.encode(), b"%d" % (MAX_ID + 1))) if form == "pax" else b""
    number = {field: b"\x80" + (MAX_ID + 1).to_bytes(7, "big")} if form == "base-256" else {}
    with pytest.raises(InvalidArchive, match=r"'a'.*ids go from 0 to 2147483647"):
        await unpack(head + raw_tar.header(**number) + END)
    assert os.listdir(tmp_path / "fs") == []


async def test_owners_of_a_container(stack: Stack) -> None:
    await stack.begin(tar([file("a")]))
    os.chown(stack.root / "a", MAX_ID, MAX_ID)
    assert [(entry.uid, entry.gid) for entry in await changed(stack)] == [(MAX_ID, MAX_ID)]
    os.chown(stack.root / "a", MAX_ID + 1, 0)
    with pytest.raises(InvalidArgument, match="'a' belongs to 2147483648:0"):
        await stack.diff()


async def test_a_path_longer_than_a_layer_can_say(stack: Stack) -> None:
    """A container makes it step by step, although no system call takes it whole."""
    await stack.begin(tar([file("a")]))
    at = os.open(stack.root, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=at)
        at, above = os.open("d" * 200, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at), at
        os.close(above)
    os.close(at)
    with pytest.raises(Unsupported, match=r"'dddd.* cannot be in a layer: its path has more than 4090 bytes"):
        await stack.diff()


async def test_the_longest_path(stack: Stack) -> None:
    name = "/".join(["d" * 255] * 15 + ["e" * 240])
    assert len(name) == 4080
    await stack.begin(tar([file(name, b"deep")]))
    assert await stack.names() == []
    at = os.open(stack.root, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(15):
        at, above = os.open("d" * 255, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at), at
        os.close(above)
    os.unlink("e" * 240, dir_fd=at)
    os.close(os.open("new", os.O_WRONLY | os.O_CREAT, dir_fd=at))
    os.close(at)
    assert (await stack.names())[-2:] == [name.replace("e" * 240, ".wh." + "e" * 240), name.replace("e" * 240, "new")]


async def test_an_attribute_that_no_tar_can_name(stack: Stack) -> None:
    """It would come out as ``user.a`` with the value ``b=c``."""
    await stack.begin(tar([file("a")]))
    os.setxattr(stack.root / "a", "user.a=b", b"c")
    with pytest.raises(InvalidArgument, match=r"'a' has an attribute b'user.a=b'") as caught:
        await stack.diff()
    assert caught.value.hint == "remove the attribute"
    os.removexattr(stack.root / "a", "user.a=b")
    os.setxattr(stack.root / "a", "user.new\nline", b"=\n\0")
    assert [entry.xattrs for entry in await changed(stack)] == [{b"user.new\nline": b"=\n\0"}]


@pytest.mark.parametrize("kind", [Kind.CHARACTER, Kind.BLOCK, Kind.FIFO])
async def test_nodes_both_ways(stack: Stack, kind: Kind) -> None:
    """Also set-user-id on one, which chown takes away."""
    numbers = (0, 0) if kind is Kind.FIFO else (240, 1_048_575)
    await stack.begin(tar([node("old", kind, *numbers, mode=0o6751, uid=5)]))
    status = os.lstat(stack.root / "old")
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o6751, 5)
    if kind is not Kind.FIFO:
        assert status.st_rdev == os.makedev(*numbers)
    os.mknod(stack.root / "new", stat.S_IFMT(status.st_mode) | 0o600, status.st_rdev)
    os.chown(stack.root / "new", 7, 8)
    os.chmod(stack.root / "new", 0o6711)
    [entry] = await changed(stack)
    assert (entry.name, entry.kind, entry.mode, entry.uid, entry.gid) == (b"new", kind, 0o6711, 7, 8)
    assert (entry.devmajor, entry.devminor) == numbers


async def test_hard_links_of_every_kind_both_ways(stack: Stack) -> None:
    await stack.begin(
        tar([node("f", Kind.FIFO), link("f2", "f"), node("c", Kind.CHARACTER, 1, 3), link("c2", "c"), folder("d"),
             file("d/a", b"a"), link("d/b", "d/a"), link("e", "./d/a"), link("g", "/d/a")])
    )  # fmt: skip
    for one, other in (("f", "f2"), ("c", "c2"), ("d/a", "d/b"), ("d/a", "e"), ("d/a", "g")):
        assert os.path.samestat(os.lstat(stack.root / one), os.lstat(stack.root / other)), other
    assert os.lstat(stack.root / "d/a").st_nlink == 4
    os.symlink("nowhere", stack.root / "s")
    for name in ("t", "d/t"):
        os.link(stack.root / "s", stack.root / name, follow_symlinks=False)
    assert [(entry.name, entry.linkname) for entry in await changed(stack)] == [
        (b"s", b"nowhere"), (b"t", b"s"), (b"d/", b""), (b"d/t", b"s"),
    ]  # fmt: skip


@pytest.mark.parametrize("below", ["file", "folder"])
async def test_a_folder_for_a_file_and_back(stack: Stack, tmp_path: Path, below: str) -> None:
    base = [file("x", b"old")] if below == "file" else [folder("x"), file("x/old", b"old")]
    await stack.begin(tar(base))
    for step in range(2):
        if (stack.root / "x").is_dir():
            subprocess.run(["rm", "-r", stack.root / "x"], check=True)
            (stack.root / "x").write_bytes(b"new")
            expected = ["x"]
        else:
            (stack.root / "x").unlink()
            (stack.root / "x").mkdir()
            (stack.root / "x/new").write_bytes(b"new")
            expected = ["x/", "x/new"] if below == "file" else ["x/", "x/new", "x/.wh.old"]
        assert await stack.names() == expected, step


async def test_python_and_gnu_tar_read_what_is_written(stack: Stack, tmp_path: Path) -> None:
    await stack.begin(tar([]))
    at = stack.root / LONG
    at.parent.mkdir(parents=True)
    at.write_bytes(b"long")
    os.chown(at, MAX_ID, MAX_ID)
    os.utime(at, ns=(0, -5 * SECOND))
    os.setxattr(at, "user.note", b"n")
    (stack.root / "link").symlink_to("t" * 300)
    _, data = await stack.diff()
    with tarfile.open(fileobj=io.BytesIO(data)) as read:
        member = read.getmember(LONG)
        assert (member.uid, member.mtime, member.pax_headers["SCHILY.xattr.user.note"]) == (MAX_ID, -5, "n")
        assert read.getmember("link").linkname == "t" * 300
    (tmp_path / "theirs").mkdir()
    subprocess.run(["tar", "--xattrs", "-C", tmp_path / "theirs", "-xpf", "-"], input=data, check=True)
    status = (tmp_path / "theirs" / LONG).stat()
    assert (status.st_uid, status.st_gid, status.st_mtime) == (MAX_ID, MAX_ID, -5)
    assert os.getxattr(tmp_path / "theirs" / LONG, "user.note") == b"n"
