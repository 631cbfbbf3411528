"""What unpacking makes of an ordinary layer. Root needed."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.errors import InvalidArchive
from jackstay_oci.digest import Digest
from jackstay_oci.tar.entries import Kind
from tests.unit.agent.layers.layer_tars import SECOND, file, folder, link, node, snapshot, symlink, tar

Unpack = Callable[..., Any]


async def test_every_kind_with_its_metadata(unpack: Unpack, tmp_path: Path) -> None:
    when = 1_234_567_890 * SECOND + 987_654_321
    capability = {b"security.capability": bytes.fromhex("0100000200040000000000000000000000000000")}
    data = tar(
        [
            folder("./", mode=0o750, uid=5, gid=6, mtime_ns=when),
            folder("d/", mode=0o2751, uid=7, gid=8, mtime_ns=when),
            file("d/set", b"s" * 10, mode=0o6755, uid=1000, gid=1001, mtime_ns=when, xattrs=capability),
            symlink("d/s", "/else/where", uid=9, gid=10, mtime_ns=when),
            link("d/h", "d/set", mode=0o6755, uid=1000, gid=1001, mtime_ns=when),
            node("d/f", Kind.FIFO, mode=0o604, uid=11, mtime_ns=when),
            node("d/c", Kind.CHARACTER, 5, 1, mode=0o620, gid=5, mtime_ns=when),
            file("/abs", b"", mtime_ns=-SECOND),
        ]
    )
    diff_id, size, inodes, incomplete = await unpack(data)
    assert (diff_id, size, inodes, incomplete) == (Digest.of(data), 10, 6, False)
    root = tmp_path / "fs"
    facts = {
        path: (oct(status.st_mode & 0o7777), status.st_uid, status.st_gid, status.st_mtime_ns)
        for path in (".", "d", "d/set", "d/h", "d/f", "d/c", "abs")
        for status in [os.lstat(root / path)]
    }
    assert facts == {
        ".": ("0o750", 5, 6, when),
        "d": ("0o2751", 7, 8, when),
        "d/set": ("0o6755", 1000, 1001, when),
        "d/h": ("0o6755", 1000, 1001, when),
        "d/f": ("0o604", 11, 0, when),
        "d/c": ("0o620", 0, 5, when),
        "abs": ("0o644", 0, 0, -SECOND),
    }
    assert os.getxattr(root / "d/set", "security.capability") == capability[b"security.capability"]
    status = os.lstat(root / "d/s")
    assert (os.readlink(root / "d/s"), status.st_uid, status.st_gid, status.st_mtime_ns) == ("/else/where", 9, 10, when)
    assert os.lstat(root / "d/f").st_mode == stat.S_IFIFO | 0o604


async def test_a_folder_hands_nothing_down(unpack: Unpack, tmp_path: Path) -> None:
    """The group of a set-group-id folder is for what is made in it later."""
    await unpack(
        tar(
            [
                folder("d/", mode=0o2775, uid=1, gid=50),
                file("d/file", b"x", mode=0o664),
                file("d/sticky", b"x", mode=0o1755),
                file("d/shut", b"x", mode=0),
                folder("d/d/", mode=0o775),
                folder("d/set/", mode=0o4711, uid=3),
            ]
        )
    )
    facts = {
        name: (oct(stat.S_IMODE(status.st_mode)), status.st_uid, status.st_gid)
        for name in ("file", "sticky", "shut", "d", "set")
        for status in [os.lstat(tmp_path / "fs/d" / name)]
    }
    assert facts == {
        "file": ("0o664", 0, 0),
        "sticky": ("0o1755", 0, 0),
        "shut": ("0o0", 0, 0),
        "d": ("0o775", 0, 0),
        "set": ("0o4711", 3, 0),
    }


async def test_a_link_dresses_the_file_that_it_leads_to(unpack: Unpack, tmp_path: Path) -> None:
    capability = {b"security.capability": bytes.fromhex("0100000200040000000000000000000000000000")}
    await unpack(
        tar(
            [
                file("plain", b"p", mode=0o600),
                link("plain.too", "plain", mode=0o4711, uid=3, gid=4, mtime_ns=7 * SECOND, xattrs=capability),
                file("able", b"a", xattrs=capability),
                link("able.too", "able"),
                symlink("s", "nowhere"),
                link("s.too", "s", mode=0o700),
            ]
        )
    )
    root = tmp_path / "fs"
    status = os.lstat(root / "plain")
    assert (oct(stat.S_IMODE(status.st_mode)), status.st_uid, status.st_gid) == ("0o4711", 3, 4)
    assert (status.st_mtime_ns, status.st_nlink) == (7 * SECOND, 2)
    assert os.getxattr(root / "plain", "security.capability") == capability[b"security.capability"]
    assert os.getxattr(root / "able", "security.capability") == capability[b"security.capability"]
    assert os.readlink(root / "s.too") == "nowhere"


async def test_later_entries_replace_earlier_ones(unpack: Unpack, tmp_path: Path) -> None:
    data = tar(
        [
            folder("a"), folder("a/b"), file("a/b/c"), file("a", b"now a file"),
            file("x"), folder("x"), file("x/y", b"in a folder"),
            symlink("l", "x"), file("l/z", b"through the link"), folder("l", mode=0o711),
            file("f", b"1"), file("f", b"2"), file("t", b"t"), link("f2", "t"), link("f2", "t"), link("t", "t"),
        ]
    )  # fmt: skip
    await unpack(data)
    root = tmp_path / "fs"
    assert (root / "a").read_bytes() == b"now a file"
    assert sorted(os.listdir(root / "x")) == ["y", "z"]
    assert os.listdir(root / "l") == []
    assert (root / "f").read_bytes() == b"2"
    assert os.path.samefile(root / "f2", root / "t")
    # What was a file in this layer hides the folder below; what was a folder all the time does not.
    assert os.getxattr(root / "x", "trusted.overlay.opaque") == b"y"
    assert os.listxattr(root / "a") == []


@pytest.mark.parametrize("first", ["whiteout", "entry"])
async def test_a_whiteout_hides_what_is_below_and_not_what_comes_with_it(
    unpack: Unpack, tmp_path: Path, first: str
) -> None:
    hide = [file("d/.wh.gone"), file("d/.wh.file"), file("d/.wh.dir")]
    show = [file("d/file", b"new"), folder("d/dir"), file("d/dir/new", b"new")]
    await unpack(tar([folder("d"), *(hide + show if first == "whiteout" else show + hide)]))
    root = tmp_path / "fs/d"
    status = os.lstat(root / "gone")
    assert stat.S_ISCHR(status.st_mode)
    assert status.st_rdev == 0
    assert (root / "file").read_bytes() == b"new"
    assert os.listdir(root / "dir") == ["new"]
    assert os.getxattr(root / "dir", "trusted.overlay.opaque") == b"y"
    assert sorted(os.listdir(root)) == ["dir", "file", "gone"]


async def test_an_opaque_marker_hides_the_folder_below_whole(unpack: Unpack, tmp_path: Path) -> None:
    await unpack(tar([folder("d"), file("d/a"), file("d/.wh..wh..opq"), file("d/b"), file(".wh..wh.plnk/1.2")]))
    root = tmp_path / "fs"
    assert os.getxattr(root / "d", "trusted.overlay.opaque") == b"y"
    assert sorted(os.listdir(root / "d")) == ["a", "b"]
    assert os.listdir(root) == ["d"]


async def test_an_opaque_marker_at_the_root(unpack: Unpack, tmp_path: Path) -> None:
    (tmp_path / "lower/old").mkdir(parents=True)
    (tmp_path / "lower/both").mkdir()
    (tmp_path / "empty").mkdir()
    await unpack(tar([folder("both"), file(".wh..wh..opq"), file("new")]), lower=("lower", "empty"))
    assert sorted(os.listdir(tmp_path / "fs")) == ["both", "new", "old"]
    assert os.lstat(tmp_path / "fs/old").st_rdev == 0
    assert os.getxattr(tmp_path / "fs/both", "trusted.overlay.opaque") == b"y"
    assert (await unpack(tar([file(".wh..wh..opq")])))[3] is True


async def test_a_folder_without_an_entry_is_like_the_one_below(unpack: Unpack, tmp_path: Path) -> None:
    below = tmp_path / "lower/var/cache"
    below.mkdir(parents=True)
    os.setxattr(below, "user.note", b"n")
    os.chown(below, 100, 101)
    below.chmod(0o2770)
    os.utime(below, ns=(7, 7))
    (tmp_path / "lower/lib").symlink_to("var/cache")
    (tmp_path / "empty").mkdir()
    result = await unpack(tar([file("var/cache/x"), file("lib/y"), file("fresh/z")]), lower=("lower", "empty"))
    assert result[3] is False
    for name in ("var/cache", "lib"):
        status = os.lstat(tmp_path / "fs" / name)
        assert stat.S_ISDIR(status.st_mode)
        assert (status.st_mode & 0o7777, status.st_uid, status.st_gid, status.st_mtime_ns) == (0o2770, 100, 101, 7)
        assert os.getxattr(tmp_path / "fs" / name, "user.note") == b"n"
    assert os.lstat(tmp_path / "fs/fresh").st_mode & 0o7777 == 0o755
    assert (await unpack(tar([file("var/cache/x")])))[3] is False  # both are there by now
    assert (await unpack(tar([file("other/x")])))[3] is True


async def test_a_folder_that_a_circle_of_links_has_replaced(unpack: Unpack, tmp_path: Path) -> None:
    await unpack(tar([folder("a"), folder("a/b"), file("a/b/c"), symlink("a", "../a")]))
    assert os.readlink(tmp_path / "fs/a") == "../a"


async def test_links_lead_around_inside_the_layer(unpack: Unpack, tmp_path: Path) -> None:
    data = tar(
        [
            symlink("run", "/var/run"), symlink("up", "deep/../also"), folder("deep"), file("run/lock", b"1"),
            file("up/there", b"2"), symlink("top", "../../.."), file("top/here", b"3"),
        ]
    )  # fmt: skip
    await unpack(data)
    root = tmp_path / "fs"
    assert (root / "var/run/lock").read_bytes() == b"1"
    assert (root / "also/there").read_bytes() == b"2"
    assert (root / "here").read_bytes() == b"3"


async def test_a_sparse_file_takes_no_room(unpack: Unpack, tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as holes:
        holes.truncate(100 << 20)
        holes.seek(50 << 20)
        holes.write(b"middle")
    subprocess.run(["tar", "-C", tmp_path, "-cSf", tmp_path / "s.tar", "sparse"], check=True)
    await unpack((tmp_path / "s.tar").read_bytes())
    status = os.stat(tmp_path / "fs/sparse")
    assert status.st_size == 100 << 20
    assert status.st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
async def test_broken_data_is_named(unpack: Unpack, compression: str) -> None:
    with pytest.raises(InvalidArchive):
        await unpack(b"\x1f\x8b\x08 is no layer" + bytes(range(256)) * 10, compression=compression)


async def test_an_entry_below_a_file(unpack: Unpack) -> None:
    with pytest.raises(InvalidArchive, match="'a/b'"):
        await unpack(tar([file("a", b"1"), file("a/b", b"2")]))


async def test_gnu_tar_unpacks_the_same(unpack: Unpack, tmp_path: Path) -> None:
    source = tmp_path / "fs-source"
    subprocess.run(["cp", "-a", "/etc", source], check=True)
    (source / "long").mkdir()
    (source / "long" / ("n" * 200)).write_bytes(os.urandom(300_000))
    archive = tmp_path / "etc.tar"
    subprocess.run(["tar", "--xattrs", "--format=pax", "-C", source, "-cf", archive, "."], check=True)
    (tmp_path / "reference").mkdir()
    subprocess.run(["tar", "--xattrs", "-C", tmp_path / "reference", "-xpf", archive], check=True)
    await unpack(archive.read_bytes())
    assert snapshot(str(tmp_path / "fs")) == snapshot(str(tmp_path / "reference"))
