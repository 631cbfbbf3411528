"""Diffs: that what they write, applied on the same parent, gives the same tree; and what they refuse. Root needed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import random
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from jackstay_agent.config import Limits
from jackstay_agent.errors import Busy, Unsupported
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers import diff as diffing
from jackstay_agent.layers.overlay import OverlaySnapshotter
from jackstay_agent.layers.snapshotter import Diffed
from jackstay_agent.metadata.database import Database
from jackstay_oci.tar.entries import Entry
from jackstay_oci.tar.reader import TarReader
from tests.unit.agent.layers.layer_tars import blob, file, folder, snapshot, symlink, tar

NAMES = ["a", "b", "-c", "d e", "é", "f" * 120]


class Stack:
    """A base layer and a container on it, mounted at `root`."""

    def __init__(self, layers: OverlaySnapshotter, tmp_path: Path) -> None:
        self.layers = layers
        self.root = tmp_path / "rootfs"
        self.seen = tmp_path / "seen"
        self.root.mkdir()
        self.seen.mkdir()

    async def begin(self, base: bytes) -> None:
        await self.apply("base", None, base)
        await self.layers.prepare("container", "base")
        await self.layers.mount("container", str(self.root))

    async def apply(self, name: str, parent: str | None, data: bytes) -> None:
        descriptor = blob(data)
        await self.layers.prepare("extract", parent)
        await self.layers.commit("extract", name, await self.layers.apply("extract", descriptor, "none"))
        os.close(descriptor)

    async def diff(self) -> tuple[Diffed, bytes]:
        out = blob(b"")
        try:
            told = await self.layers.diff("container", out)
            return told, os.pread(out, os.fstat(out).st_size, 0)
        finally:
            os.close(out)

    async def names(self) -> list[str]:
        return [entry.name.decode() for entry in TarReader(io.BytesIO((await self.diff())[1]))]


@pytest.fixture
def stack(tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts) -> Stack:
    return Stack(OverlaySnapshotter(str(tmp_path / "layers"), database, jobs, mounts, Limits()), tmp_path)


def grow(root: Path, chance: random.Random, steps: int) -> None:
    """Do random things to the tree below *root*."""

    def any_folder() -> Path:
        at = root
        while chance.random() < 0.7:
            inner = [each for each in sorted(at.iterdir()) if each.is_dir() and not each.is_symlink()]
            if not inner:
                break
            at = chance.choice(inner)
        return at

    def take_away(path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif os.path.lexists(path):
            path.unlink()

    def make(path: Path) -> None:
        what = chance.randrange(6)
        if what in (0, 1):
            path.mkdir()
            path.chmod(chance.choice([0o755, 0o700, 0o1777, 0o2755]))
        elif what == 2:
            path.symlink_to(chance.choice(["a", "/b", "../c", "nowhere"]))
        elif what == 3:
            os.mkfifo(path)
        else:
            path.write_bytes(chance.randbytes(chance.choice([0, 1, 511, 512, 513, 70_000])))
            path.chmod(chance.choice([0o644, 0o4755, 0o600]))
            os.utime(path, ns=(0, chance.randrange(2 * 10**18)))
        if chance.random() < 0.3:
            os.lchown(path, chance.randrange(70_000), chance.randrange(70_000))

    def change(path: Path) -> None:
        if path.is_symlink():
            os.lchown(path, chance.randrange(1000), 0)
        elif path.is_file():
            chance.choice(
                [
                    lambda: path.write_bytes(chance.randbytes(100)),
                    lambda: path.chmod(0o640),
                    lambda: os.setxattr(path, "user.note", chance.randbytes(5)),
                    lambda: os.link(path, any_folder() / f"link-{chance.randrange(1000)}"),
                ]
            )()
        elif path.is_dir():
            path.chmod(chance.choice([0o750, 0o711]))

    for _ in range(steps):
        path = any_folder() / chance.choice(NAMES)
        exists = os.path.lexists(path)
        dice = chance.random()
        with contextlib.suppress(FileExistsError, shutil.Error):  # of a move that met a FIFO: half of it is a tree, too
            if exists and dice < 0.35:
                change(path)
            elif exists and dice < 0.6:
                take_away(path)
            elif exists and dice < 0.7:
                shutil.move(path, root / f"moved-{chance.randrange(1000)}")
            else:
                take_away(path)
                make(path)


@pytest.mark.parametrize("seed", range(16))
async def test_random_trees_make_the_round_trip(stack: Stack, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    source = tmp_path / "base"
    source.mkdir()
    grow(source, chance, 60)
    opened, out = os.open(source, os.O_RDONLY), blob(b"")
    await asyncio.to_thread(diffing.diff, opened, None, out)
    base = os.pread(out, os.fstat(out).st_size, 0)
    os.close(opened)
    os.close(out)
    await stack.begin(base)
    assert snapshot(str(stack.root), fraction=False) == snapshot(str(source), fraction=False)
    grow(stack.root, chance, 40)
    told, data = await stack.diff()
    assert await stack.diff() == (told, data)
    await stack.apply("next", "base", data)
    await stack.layers.view("view", "next")
    await stack.layers.mount("view", str(stack.seen))
    # The time of a folder in which nothing is left of what changed is not part of a diff.
    assert snapshot(str(stack.seen), fraction=False, folder_times=False) == snapshot(
        str(stack.root), fraction=False, folder_times=False
    )


async def test_only_what_changed_and_what_leads_to_it(stack: Stack) -> None:
    await stack.begin(
        tar(
            [folder("a"), folder("a/b"), file("a/b/c"), folder("x"), file("x/y"), folder("z"), file("z/1"), file("z/2")]
        )
    )
    (stack.root / "a/b/new").touch()
    (stack.root / "x/y").unlink()
    (stack.root / "z/1").unlink()
    (stack.root / "z/2").unlink()
    (stack.root / "z").rmdir()
    assert await stack.names() == [".wh.z", "a/", "a/b/", "a/b/new", "x/", "x/.wh.y"]
    (stack.root / "z").mkdir()
    (stack.root / "z/2").mkdir()
    assert await stack.names() == ["a/", "a/b/", "a/b/new", "x/", "x/.wh.y", "z/", "z/.wh.1", "z/2/"]


async def test_a_whiteout_with_nothing_below_is_left_out(stack: Stack) -> None:
    await stack.begin(tar([file("a")]))
    (stack.root / "a").unlink()
    (upper,) = (stack.root.parent / "layers/snapshots").glob("2/fs")
    os.mknod(upper / "never", 0o020000, 0)
    assert await stack.names() == [".wh.a"]


async def test_the_root_comes_along_when_its_mode_changed(stack: Stack) -> None:
    await stack.begin(tar([file("a")]))
    stack.root.chmod(0o700)
    assert await stack.names() == ["./"]


async def test_sockets_and_attributes_of_the_host_are_left_out(stack: Stack) -> None:
    await stack.begin(tar([file("a")]))
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(stack.root / "socket"))
    os.setxattr(stack.root / "a", "user.note", b"n")
    os.setxattr(stack.root / "a", "trusted.secret", b"n")
    told, data = await stack.diff()
    (entry,) = TarReader(io.BytesIO(data))
    assert (entry.name, entry.xattrs) == (b"a", {b"user.note": b"n"})
    assert not told.empty


async def test_what_no_layer_can_say_is_refused(stack: Stack) -> None:
    await stack.begin(tar([folder("d"), file("d/a")]))
    (stack.root / "d/.wh.a").touch()
    with pytest.raises(Unsupported, match="whiteout"):
        await stack.diff()
    (stack.root / "d/.wh.a").unlink()
    os.setxattr(stack.root.parent / "layers/snapshots/2/fs/d", "trusted.overlay.redirect", b"/elsewhere")
    with pytest.raises(Unsupported, match="redirect"):
        await stack.diff()


def test_a_link_in_a_running_container_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that becomes a link to the host while the diff walks is left out, not followed."""
    (tmp_path / "host").mkdir()
    (tmp_path / "host/secret").write_text("secret")
    upper, out = tmp_path / "upper", blob(b"")
    (upper / "way").mkdir(parents=True)
    opened = os.open(upper, os.O_RDONLY)
    contents = diffing._Differ._contents

    def swap(self: diffing._Differ, path: bytes, folder: int, below: int | None, hidden: bool) -> list[bytes]:
        found = contents(self, path, folder, below, hidden)
        if path == b"":
            (upper / "way").rmdir()
            (upper / "way").symlink_to(tmp_path / "host")
        return found

    def names() -> list[bytes]:
        os.ftruncate(out, 0)
        os.lseek(out, 0, os.SEEK_SET)
        diffing.diff(opened, None, out)
        return [entry.name for entry in TarReader(io.BytesIO(os.pread(out, 1 << 20, 0)))]

    monkeypatch.setattr(diffing._Differ, "_contents", swap)
    assert names() == []
    (upper / "way").unlink()
    (upper / "way").mkdir()
    monkeypatch.setattr(diffing, "_INSIDE", 0)
    assert b"way/secret" in names()
    os.close(opened)
    os.close(out)


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "upper").mkdir()
    (tmp_path / "upper/a").write_bytes(bytes(1000))
    opened, out = os.open(tmp_path / "upper", os.O_RDONLY), blob(b"")
    write: Callable[..., None] = diffing._Differ._write_below

    def shrink(self: diffing._Differ, entry: Entry, content: object = None) -> None:
        os.truncate(tmp_path / "upper/a", 10)
        write(self, entry, content)

    monkeypatch.setattr(diffing._Differ, "_write_below", shrink)
    with pytest.raises(Busy, match="'a' changed"):
        diffing.diff(opened, None, out)
    os.close(opened)
    os.close(out)


async def test_each_link_of_a_file_has_its_attributes(stack: Stack) -> None:
    """Docker dresses a file anew by the entry of each link, and takes away a capability that is not repeated there."""
    capability = {b"security.capability": bytes.fromhex("0100000200040000000000000000000000000000")}
    await stack.begin(tar([]))
    (stack.root / "a").write_text("a")
    (stack.root / "a").chmod(0o4755)
    os.setxattr(stack.root / "a", "security.capability", capability[b"security.capability"])
    os.link(stack.root / "a", stack.root / "b")
    entries = list(TarReader(io.BytesIO((await stack.diff())[1])))
    assert [(entry.name, entry.linkname, entry.mode, entry.xattrs) for entry in entries] == [
        (b"a", b"", 0o4755, capability),
        (b"b", b"a", 0o4755, capability),
    ]


async def test_a_symlink_below_is_no_folder_below(stack: Stack) -> None:
    await stack.begin(tar([folder("usr"), file("usr/x"), symlink("lib", "usr")]))
    (stack.root / "lib").unlink()
    (stack.root / "lib").mkdir()
    assert await stack.names() == ["lib/"]
