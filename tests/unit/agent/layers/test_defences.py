"""Hostile layers. Each attack is seen to succeed when the defence against it is switched off. Root needed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from isal import igzip

from jackstay_agent.config import Limits
from jackstay_agent.errors import DiskFull, InvalidArchive, LimitExceeded
from jackstay_agent.kernel import syscalls
from jackstay_oci.tar.entries import Kind
from tests.unit.agent.layers.layer_tars import file, folder, link, node, symlink, tar

Unpack = Callable[..., Any]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the target, with a file in it, and the target's own."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    (tmp_path / "fs").mkdir()
    return tmp_path / "outside"


async def test_a_name_that_climbs_out(unpack: Unpack, outside: Path) -> None:
    data = tar([file("a/../../outside/new", b"x")])
    with pytest.raises(InvalidArchive, match="leads out"):
        await unpack(data)
    assert os.listdir(outside.parent / "fs") == []
    await unpack(tar([file("../outside/new", b"x")]), off=("names",))  # the kernel keeps it inside all the same
    assert not (outside / "new").exists()
    await unpack(tar([file("../outside/new", b"x")]), off=("names", "resolve", "root"))
    assert (outside / "new").read_bytes() == b"x"


@pytest.mark.parametrize("target", ["absolute", "relative"])
async def test_a_link_and_then_a_write_through_it(unpack: Unpack, outside: Path, target: str) -> None:
    to = str(outside) if target == "absolute" else "../outside"
    data = tar([symlink("way", to), file("way/new", b"x")])
    await unpack(data)
    await unpack(data, off=("resolve",), target=outside.parent / "fs2")
    await unpack(data, off=("root",), target=outside.parent / "fs3")
    assert os.listdir(outside) == ["secret"]
    await unpack(data, off=("resolve", "root"), target=outside.parent / "fs4")
    assert (outside / "new").read_bytes() == b"x"


async def test_a_link_replaced_under_an_open_folder(unpack: Unpack, outside: Path) -> None:
    """The folder that a name led to is looked up anew once something on the way was replaced."""
    data = tar([folder("a"), file("a/x", b"1"), symlink("a", "b"), folder("b"), file("a/y", b"2")])
    await unpack(data)
    assert sorted(os.listdir(outside.parent / "fs/b")) == ["y"]


async def test_a_hard_link_to_a_file_outside(unpack: Unpack, outside: Path) -> None:
    for to in ("../outside/secret", "way/secret"):
        data = tar([symlink("way", str(outside)), link("mine", to), file("mine", b"x")])
        with pytest.raises(InvalidArchive):
            await unpack(data)
    await unpack(
        tar([symlink("way", str(outside)), link("mine", "way/secret")]),
        off=("resolve", "root"),
        target=outside.parent / "fs2",
    )
    assert os.path.samefile(outside.parent / "fs2/mine", outside / "secret")


async def test_a_hard_link_to_a_symlink_is_to_the_link(unpack: Unpack, outside: Path) -> None:
    await unpack(tar([symlink("way", str(outside / "secret")), link("mine", "way")]))
    assert os.readlink(outside.parent / "fs/mine") == str(outside / "secret")


async def test_a_file_over_a_link_replaces_the_link(unpack: Unpack, outside: Path) -> None:
    await unpack(tar([symlink("a", str(outside / "secret")), file("a", b"x")]))
    await unpack(tar([symlink("b", str(outside)), folder("b", mode=0o777)]))
    assert (outside / "secret").read_text() == "secret"
    assert (outside.parent / "fs/a").read_bytes() == b"x"
    assert outside.stat().st_mode & 0o777 != 0o777


async def test_devices_are_made_below_the_target_and_never_a_whiteout(unpack: Unpack, outside: Path) -> None:
    await unpack(tar([node("dev/null", Kind.CHARACTER, 1, 3, mode=0o666), node("dev/sda", Kind.BLOCK, 8, 0)]))
    made = os.stat(outside.parent / "fs/dev/null")
    assert (made.st_rdev, made.st_mode & 0o7777) == (os.makedev(1, 3), 0o666)
    hostile = tar([node("secret", Kind.CHARACTER, 0, 0)])
    with pytest.raises(InvalidArchive, match="whiteout"):
        await unpack(hostile)
    await unpack(hostile, off=("devices",), target=outside.parent / "fs2")
    assert seen(outside.parent, "fs2:outside") == []  # the secret of the layer below is hidden


@pytest.mark.parametrize("at", [329, 337])  # in the header: the major, the minor number
async def test_a_device_number_that_no_kernel_has(unpack: Unpack, outside: Path, at: int) -> None:
    data = bytearray(tar([node("null", Kind.CHARACTER, 1, 3)]))
    data[at : at + 8] = b"\x80" + (1 << 31).to_bytes(7, "big")
    data[148:156] = b"        "
    data[148:156] = b"%06o\0 " % sum(data[:512])
    with pytest.raises(InvalidArchive, match="'null'"):
        await unpack(bytes(data))


async def test_an_attribute_with_a_nul_in_its_name_is_dropped(unpack: Unpack, outside: Path) -> None:
    await unpack(tar([file("a", xattrs={b"user.a\0b": b"1", b"user.c": b"2"})]))
    assert os.listxattr(outside.parent / "fs/a") == ["user.c"]


async def test_attributes_that_steer_overlay_are_dropped(unpack: Unpack, outside: Path) -> None:
    steer = {b"trusted.overlay.redirect": b"/inner", b"user.note": b"n", b"user.overlay.opaque": b"y"}
    steer |= {b"security.selinux": b"x"}
    (outside / "inner").mkdir()
    (outside / "inner/secret").write_text("steered")
    data = tar([folder("shown", xattrs=steer)])
    await unpack(data)
    assert os.listxattr(outside.parent / "fs/shown") == ["user.note"]
    assert seen(outside.parent, "fs:outside", "shown") == []
    await unpack(data, off=("attributes",), target=outside.parent / "fs2")
    assert seen(outside.parent, "fs2:outside", "shown") == ["secret"]


async def test_owners_out_of_bounds(unpack: Unpack, outside: Path) -> None:
    data = bytearray(tar([file("a", b"x")]))
    huge = (1 << 31) + 5
    data[108:116] = b"\x80" + huge.to_bytes(7, "big")
    data[148:156] = b"        "
    data[148:156] = b"%06o\0 " % sum(data[:512])
    with pytest.raises(InvalidArchive, match="ids go from 0"):
        await unpack(bytes(data))
    await unpack(bytes(data), off=("owners",))
    assert os.stat(outside.parent / "fs/a").st_uid == huge


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "a/.wh...", ".wh..wh..wh.x/.wh.", ".wh.a/b"])
async def test_whiteouts_that_name_nothing(unpack: Unpack, outside: Path, name: str) -> None:
    try:
        await unpack(tar([file(name)]))
    except InvalidArchive:
        pass
    assert [each for each in os.listdir(outside.parent / "fs") if each != "a"] == []


async def test_a_whiteout_of_the_folder_above(unpack: Unpack, outside: Path) -> None:
    with pytest.raises(InvalidArchive, match="names nothing"):
        await unpack(tar([file(".wh...")]))
    assert "trusted.overlay.opaque" not in os.listxattr(outside.parent)
    await unpack(tar([file(".wh...")]), off=("whiteouts", "root", "resolve"))
    assert "trusted.overlay.opaque" in os.listxattr(outside.parent)


async def test_a_bomb(unpack: Unpack, outside: Path) -> None:
    bomb = igzip.compress(tar([file("a", bytes(300 << 20))]), 1)
    limits = Limits(compression_ratio=50)
    with pytest.raises(LimitExceeded, match="compression_ratio"):
        await unpack(bomb, compression="gzip", limits=limits)
    with pytest.raises(LimitExceeded, match="layer_bytes"):
        await unpack(bomb, compression="gzip", limits=Limits(layer_bytes=100 << 20))
    assert (outside.parent / "fs/a").stat().st_size < 300 << 20
    await unpack(bomb, compression="gzip", target=outside.parent / "fs2")
    assert (outside.parent / "fs2/a").stat().st_size == 300 << 20


async def test_entries_and_names_are_bounded(unpack: Unpack) -> None:
    with pytest.raises(LimitExceeded, match="layer_entries"):
        await unpack(tar([file(f"f{number}") for number in range(11)]), limits=Limits(layer_entries=10))
    with pytest.raises(LimitExceeded, match="name_bytes"):
        await unpack(tar([file("a/" * 3000)]))
    with pytest.raises(InvalidArchive, match="too long"):
        await unpack(tar([file("a" * 300)]))


async def test_links_in_a_circle(unpack: Unpack) -> None:
    with pytest.raises(InvalidArchive):
        await unpack(tar([symlink("a", "b"), symlink("b", "a"), file("a/c", b"x")]))


async def test_a_full_disk(unpack: Unpack, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    syscalls.mount("tmpfs", str(small), "tmpfs", 0, "size=1m")
    try:
        with pytest.raises(DiskFull, match="unpacking 'b'"):
            await unpack(tar([file("a", bytes(500_000)), file("b", bytes(1 << 20))]), target=small)
    finally:
        syscalls.umount(str(small))


def seen(work: Path, lower: str, inner: str = ".") -> list[str]:
    """What a container would find in the folder *inner* of the stack *lower*."""
    at = work / "merged"
    at.mkdir(exist_ok=True)
    stack = ":".join(str(work / each) for each in lower.split(":"))
    # Redirects are followed here, as a kernel that has them on by default would.
    syscalls.mount("overlay", str(at), "overlay", syscalls.MS_RDONLY, f"lowerdir={stack},redirect_dir=follow")
    try:
        return sorted(each for each in os.listdir(at / inner) if each != "inner")
    finally:
        syscalls.umount(str(at))
