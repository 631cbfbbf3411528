"""Unpacking onto a copy of the tree below, and what a whole tree's diff finds. Root needed."""

from __future__ import annotations

import io
import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.config import Limits
from jackstay_agent.errors import Unsupported
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers.copy_mark import CopyMark
from jackstay_agent.layers.inodes import Inodes
from jackstay_agent.layers.untouched import Untouched
from jackstay_agent.layers.vfs import VfsSnapshotter
from jackstay_agent.metadata.database import Database
from jackstay_oci.digest import Digest
from jackstay_oci.tar.reader import TarReader
from tests.unit.agent.layers.layer_tars import blob, file, folder, link, symlink, tar

Unpack = Callable[..., Any]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the tree, with a file in it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    (tmp_path / "fs").mkdir()
    return tmp_path / "outside"


async def test_links_of_the_tree_below_lead_nowhere(unpack: Unpack, outside: Path) -> None:
    for name in ("way", "other", "third"):
        (outside.parent / "fs" / name).symlink_to(outside)
    data = tar([file("way/new", b"x"), file("other/.wh.secret"), file("third/.wh..wh..opq")])
    await unpack(data, whole=True)
    assert os.listdir(outside) == ["secret"]
    assert os.listdir(outside.parent / "fs/way") == ["new"]


async def test_what_is_taken_away_is_not_followed(unpack: Unpack, outside: Path) -> None:
    below = outside.parent / "fs/d/deep"
    below.mkdir(parents=True)
    (below / "way").symlink_to(outside)
    os.link(outside / "secret", below / "hard")
    (outside.parent / "fs/opaque").mkdir()
    (outside.parent / "fs/opaque/way").symlink_to(outside)
    await unpack(tar([file(".wh.d"), file("opaque/.wh..wh..opq"), folder("opaque")]), whole=True)
    assert os.listdir(outside) == ["secret"]
    assert os.listdir(outside.parent / "fs") == ["opaque"]
    assert os.listdir(outside.parent / "fs/opaque") == []


async def test_a_folder_is_looked_through_once(unpack: Unpack, outside: Path) -> None:
    """Whiteouts of a large folder of the layer's own, again and again, cost no more than one."""
    entries = [folder("d"), *(file(f"d/{number}") for number in range(2000))]
    began = time.monotonic()
    await unpack(tar([*entries, *(file(".wh.d") for _ in range(3000))]), whole=True)
    assert time.monotonic() - began < 10  # else 6 million looks
    assert len(os.listdir(outside.parent / "fs/d")) == 2000


def test_what_a_layer_has_made_is_remembered_in_bits() -> None:
    numbers = range(10_000_000, 10_200_000)
    tracemalloc.start()
    known = Inodes()
    for number in numbers:
        known.add(number)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 100_000
    assert all(number in known for number in numbers)
    assert not any(number in known for number in (0, 1, 9_999_999, 10_200_000, 1 << 63))


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_a_running_container_replaces_meanwhile_is_not_untouched(tmp_path: Path, kind: str) -> None:
    """Between the look at it and the reading; a link that took a file's place is not followed."""
    for name in ("upper", "lower"):
        (tmp_path / name).mkdir()
        if kind == "file":
            (tmp_path / name / "x").write_text("same")
        else:
            (tmp_path / name / "x").symlink_to("same")
        os.utime(tmp_path / name / "x", (5, 5), follow_symlinks=False)
    upper, lower = (os.open(tmp_path / name, os.O_RDONLY) for name in ("upper", "lower"))
    untouched = Untouched(upper, lower, CopyMark())
    status = os.stat("x", dir_fd=upper, follow_symlinks=False)
    assert untouched.is_so(b"x", status, upper, lower)
    (tmp_path / "upper/x").unlink()
    assert not untouched.is_so(b"x", status, upper, lower)
    (tmp_path / "outside").write_text("same")
    if kind == "file":
        (tmp_path / "upper/x").symlink_to(tmp_path / "outside")
    else:
        (tmp_path / "upper/x").write_text("same")
    assert not untouched.is_so(b"x", status, upper, lower)
    os.close(upper)
    os.close(lower)


class Container:
    """A container on copies, mounted at `root`."""

    def __init__(self, layers: VfsSnapshotter, root: Path) -> None:
        self.layers = layers
        self.root = root

    async def begin(self, base: bytes) -> None:
        descriptor = blob(base)
        await self.layers.prepare("extract-1", None)
        await self.layers.commit("extract-1", "base", await self.layers.apply("extract-1", descriptor, "none"))
        os.close(descriptor)
        await self.layers.prepare("container", "base")
        await self.layers.mount("container", str(self.root))

    async def names(self) -> list[str]:
        out = blob(b"")
        try:
            told = await self.layers.diff("container", out)
            data = os.pread(out, os.fstat(out).st_size, 0)
        finally:
            os.close(out)
        assert told.diff_id == Digest.of(data)
        return [
            entry.name.decode() + (f" = {entry.linkname.decode()}" if entry.linkname else "")
            for entry in TarReader(io.BytesIO(data))
        ]


@pytest.fixture
def container(tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts) -> Container:
    (tmp_path / "rootfs").mkdir()
    return Container(VfsSnapshotter(str(tmp_path / "layers"), database, jobs, mounts, Limits()), tmp_path / "rootfs")


async def test_what_looks_changed_and_is_not(container: Container) -> None:
    await container.begin(tar([file("a", b"1"), file("b", b"2"), symlink("s", "a"), folder("d"), file("d/x")]))
    for name in ("a", "b"):
        was = os.stat(container.root / name)
        (container.root / name).write_bytes((container.root / name).read_bytes())
        os.utime(container.root / name, ns=(was.st_mtime_ns, was.st_mtime_ns))
    (container.root / "d/y").touch()
    (container.root / "d/y").unlink()
    assert await container.names() == []


async def test_what_looks_the_same_and_is_not(container: Container) -> None:
    """The time is set back; or the clock was, so that the change seems to be older than the copy."""
    await container.begin(tar([file("a", b"1"), file("b", b"2", xattrs={b"user.note": b"n"}), file("c", b"3")]))
    for name, content in (("a", b"x"), ("b", b"2")):
        was = os.stat(container.root / name)
        (container.root / name).write_bytes(content)
        os.utime(container.root / name, ns=(was.st_mtime_ns, was.st_mtime_ns))
    os.setxattr(container.root / "b", "user.note", b"m")
    assert await container.names() == ["a", "b"]


async def test_without_its_mark_everything_is_compared(container: Container, tmp_path: Path) -> None:
    await container.begin(tar([file("a", b"1"), file("b", b"2"), file("two", b"22"), link("three", "two")]))
    (container.root / "a").write_bytes(b"x")
    os.unlink(tmp_path / "layers/snapshots/2/made")
    assert await container.names() == ["a", "three", "two = three"]  # the copies of links are not known any more


async def test_names_of_one_file(container: Container) -> None:
    await container.begin(
        tar([file("a", b"1"), link("b", "a"), link("c", "a"), file("other", b"o"), folder("d"), file("d/x", b"x")])
    )
    (container.root / "c").unlink()
    assert await container.names() == [".wh.c"]
    os.link(container.root / "d/x", container.root / "linked")
    (container.root / "new").mkdir()
    os.link(container.root / "other", container.root / "new/other")
    assert await container.names() == [
        ".wh.c", "linked", "other", "d/", "d/x = linked", "new/", "new/other = other",
    ]  # fmt: skip
    (container.root / "a").write_bytes(b"changed")
    assert await container.names() == [
        "a", "b = a", ".wh.c", "linked", "other", "d/", "d/x = linked", "new/", "new/other = other",
    ]  # fmt: skip


async def test_a_device_that_is_a_whiteout_elsewhere_is_refused(container: Container) -> None:
    await container.begin(tar([file("a")]))
    os.mknod(container.root / "x", 0o020000, 0)
    with pytest.raises(Unsupported, match="'x' cannot be in a layer"):
        await container.names()


async def test_usage_counts_what_changed(container: Container) -> None:
    await container.begin(tar([file("large", b"1" * (1 << 20)), folder("d"), file("d/x")]))
    assert await container.layers.usage("container") == (0, 0)
    (container.root / "d/new").write_bytes(os.urandom(100_000))
    (container.root / "sub").mkdir()
    os.sync()
    taken, inodes = await container.layers.usage("container")
    assert 100_000 <= taken < 120_000
    assert inodes == 2
    (container.root / "large").unlink()
    assert (await container.layers.usage("container"))[1] == 2
