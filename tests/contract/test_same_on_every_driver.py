"""The same layers give the same trees, and the same changes the same layers, whatever driver keeps them. Root needed.

Not the same, and so not in here: overlay lists a whiteout that hides nothing, as a name that is not there, in a folder
that one layer alone has; it parts the hard links of a file that is changed, and writes files that were only opened for
writing (docs/adr/0010).
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.config import Limits
from jackstay_agent.errors import InvalidArchive
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers.snapshotter import Snapshotter
from jackstay_agent.metadata.database import Database
from jackstay_oci.tar.entries import Kind
from tests.unit.agent.layers.drivers import DRIVERS, root_for
from tests.unit.agent.layers.layer_tars import SECOND, blob, file, folder, link, node, snapshot, symlink, tar

Layer = list[tuple[Any, bytes]]
BASE: Layer = [
    folder("./", mode=0o751), folder("a", mode=0o700, uid=5, xattrs={b"user.note": b"below"}), file("a/old", b"1"),
    folder("a/b"), file("a/b/deep", b"2"), file("f", b"3", uid=7), folder("opt"), folder("opt/in"), file("opt/in/x"),
    file("opt/y", b"y"), symlink("lib", "usr/lib"), folder("usr"), folder("usr/lib"), file("usr/lib/so", b"4"),
    file("two", b"22"), link("three", "two"), node("fifo", Kind.FIFO), symlink("dangling", "nowhere/at/all"),
    symlink("up", "../../a"),
]  # fmt: skip
TOPS: dict[str, Layer] = {
    "whiteouts first": [file(".wh.a"), folder("a"), file("a/new", b"n"), file("a/.wh.never"), file(".wh.f")],
    "whiteouts last": [folder("a"), file("a/new", b"n"), file(".wh.a"), file("f", b"mine"), file(".wh.f")],
    "a whiteout of a folder that is only passed through": [file("a/b/new", b"n"), file(".wh.a")],
    "a whiteout, and a folder without an entry": [file(".wh.a"), file("a/b/new", b"n")],
    "opaque first": [folder("opt"), file("opt/.wh..wh..opq"), file("opt/z", b"z"), folder("opt/in")],
    "opaque last": [folder("opt"), file("opt/z", b"z"), file("opt/in/w", b"w"), file("opt/.wh..wh..opq")],
    "opaque without an entry": [file("opt/.wh..wh..opq"), file("opt/in/w", b"w")],
    "opaque at the root": [folder("a"), file("a/new", b"n"), file(".wh..wh..opq"), file("f", b"f")],
    "a folder becomes a file": [file("a", b"now a file"), file("opt/in", b"too")],
    "a file becomes a folder": [folder("f"), file("f/in", b"i"), folder("two"), folder("fifo")],
    "there and back": [file("a", b"x"), folder("a"), file("a/z"), folder("f"), file("f", b"again"), folder("f")],
    "a name that is a link below": [file("lib/mine", b"m"), file("up/mine", b"u"), file("dangling/x", b"d")],
    "a link below that is replaced": [folder("lib"), symlink("opt", "a"), file("opt/through", b"t")],
    "folders dressed anew": [folder("a", mode=0o711, xattrs={b"user.other": b"o"}), folder("opt", uid=9)],
    "folders only passed through": [file("a/b/new", b"n"), file("opt/in/new", b"n"), file("usr/lib/so", b"5")],
    "the root's look": [folder("./", mode=0o1777, uid=3, mtime_ns=7 * SECOND), file("x")],
    "links among its own": [file("a/one", b"1"), link("linked", "a/one"), link("f", "a/one"), file("two", b"new")],
    "one of two names": [file(".wh.three")],
    "what hides nothing": [file(".wh.nothing"), file("not/there/.wh.it"), file("a/b/.wh..wh..opq")],
}
REFUSED: dict[str, Layer] = {
    "a hard link to a file below": [link("mine", "f")],
    "a hard link through a link below": [file("usr/lib/own"), link("mine", "lib/own")],
    "a hard link to what it hides": [file("f", b"x"), file("a/x"), file("a", b"y"), link("mine", "a/x")],
    "an entry below its own file": [file("f", b"x"), file("f/in")],
    "a device that is a whiteout": [node("f", Kind.CHARACTER, 0, 0)],
}


class Three:
    """A snapshotter of each driver."""

    def __init__(self, tmp_path: Path, each: dict[str, Snapshotter], mounts: Mounts) -> None:
        self._tmp_path = tmp_path
        self._mounts = mounts
        self.each = each

    async def layer(self, driver: str, name: str, parent: str | None, data: bytes) -> None:
        await self.each[driver].prepare("extract-1", parent)
        descriptor = blob(data)
        try:
            applied = await self.each[driver].apply("extract-1", descriptor, "none")
        except InvalidArchive:
            await self.each[driver].remove("extract-1")
            raise
        finally:
            os.close(descriptor)
        await self.each[driver].commit("extract-1", name, applied)

    async def mounted(self, driver: str, key: str) -> str:
        target = self._tmp_path / f"{driver}-{key}"
        target.mkdir()
        await self.each[driver].mount(key, str(target))
        return str(target)

    async def view(self, driver: str, name: str) -> dict[str, tuple[Any, ...]]:
        await self.each[driver].view(f"view-{name}", name)
        tree = snapshot(await self.mounted(driver, f"view-{name}"), listed_only=False)
        linked = Counter(facts[6] for facts in tree.values())  # some filesystems count names that are hidden
        return {path: facts if linked[facts[6]] > 1 else (*facts[:6], None, *facts[7:]) for path, facts in tree.items()}

    async def diff(self, driver: str, key: str) -> bytes:
        out = blob(b"")
        try:
            await self.each[driver].diff(key, out)
            return os.pread(out, os.fstat(out).st_size, 0)
        finally:
            os.close(out)


@pytest.fixture
async def three(tmp_path: Path, jobs: Spawner, mounts: Mounts) -> AsyncIterator[Three]:
    async with contextlib.AsyncExitStack() as stack:
        each: dict[str, Snapshotter] = {}
        for name, driver in DRIVERS.items():
            root = stack.enter_context(root_for(name, tmp_path / name))
            database = await Database.open(str(tmp_path / f"{name}.db"))
            stack.push_async_callback(database.close)
            each[name] = driver(str(root), database, jobs, mounts, Limits())
        yield Three(tmp_path, each, mounts)
        for target in await mounts.mounted(str(tmp_path)):
            if target != str(tmp_path / "btrfs"):
                await mounts.unmount(target)


async def test_the_same_layers_give_the_same_tree(three: Three) -> None:
    for driver in DRIVERS:
        await three.layer(driver, "base", None, tar(BASE))
    assert await three.view("btrfs", "base") == await three.view("vfs", "base") == await three.view("overlay", "base")
    for name, top in TOPS.items():
        seen = {}
        for driver in DRIVERS:
            await three.layer(driver, name, "base", tar(top))
            seen[driver] = await three.view(driver, name)
        assert seen["vfs"] == seen["overlay"], name
        assert seen["btrfs"] == seen["overlay"], name


async def test_what_is_no_layer_is_none_anywhere(three: Three) -> None:
    for driver in DRIVERS:
        await three.layer(driver, "base", None, tar(BASE))
        for name, top in REFUSED.items():
            with pytest.raises(InvalidArchive):
                await three.layer(driver, name, "base", tar(top))


async def test_a_base_with_whiteouts_shows_none(three: Three) -> None:
    for driver in DRIVERS:
        await three.layer(driver, "base", None, tar([file(".wh.a"), folder("d"), file("d/.wh..wh..opq"), file("b")]))
    seen = [await three.view(driver, "base") for driver in DRIVERS]
    assert [sorted(each) for each in seen] == [[".", "b", "d"]] * 3


@pytest.mark.parametrize("seed", range(6))
async def test_random_layers_give_the_same_tree(three: Three, seed: int) -> None:
    chance = random.Random(seed)
    stack = [random_layer(chance, 40) for _ in range(6)]
    parent = None
    for number, layer in enumerate(stack):
        seen = {}
        for driver in DRIVERS:
            try:
                await three.layer(driver, f"layer-{number}", parent, tar(layer))
                seen[driver] = await three.view(driver, f"layer-{number}")
            except InvalidArchive as error:
                seen[driver] = {"error": (error.message,)}
        assert seen["vfs"] == seen["overlay"]
        assert seen["btrfs"] == seen["overlay"]
        if "error" not in seen["vfs"]:
            parent = f"layer-{number}"


def random_layer(chance: random.Random, entries: int) -> Layer:
    """Entries over few names, so that they meet: whatever a tar can say, sensible or not."""

    def name(depth: int) -> str:
        return "/".join(chance.choice("abcd") for _ in range(chance.randint(1, depth)))

    def one() -> tuple[Any, bytes]:
        path = name(3)
        above, _, base = path.rpartition("/")
        prefix = f"{above}/" if above else ""
        what = chance.randrange(10)
        if what < 3:
            return file(path, chance.randbytes(chance.choice([0, 1, 600])), mode=chance.choice([0o644, 0o4755]))
        if what < 6:
            return folder(path, mode=chance.choice([0o755, 0o700, 0o1777]), mtime_ns=chance.randrange(10**18))
        if what == 6:
            return symlink(path, chance.choice(["a", "b/c", "/d", "../a", "nowhere", "."]))
        if what == 7:
            return file(f"{prefix}.wh.{base}")
        if what == 8:
            return file(f"{path}/.wh..wh..opq")
        return link(path, name(2)) if chance.random() < 0.3 else node(path, Kind.FIFO)

    return [one() for _ in range(entries)]


def _rewrite(root: Path) -> None:
    (root / "f").write_bytes(b"longer than before")
    (root / "a/b/deep").unlink()


def _turn(root: Path) -> None:
    shutil.rmtree(root / "a")
    (root / "a").write_bytes(b"a file")
    (root / "f").unlink()
    (root / "f").mkdir()
    (root / "f/in").write_bytes(b"x" * 70_000)


def _make_again(root: Path) -> None:
    shutil.rmtree(root / "opt")
    (root / "opt").mkdir()
    (root / "opt/z").write_bytes(b"z")
    shutil.rmtree(root / "usr")
    (root / "usr/lib").mkdir(parents=True)


def _dress(root: Path) -> None:
    (root / "a").chmod(0o711)
    os.chown(root / "f", 100, 2**31 - 1)
    os.setxattr(root / "opt/in/x", "user.note", b"n")
    os.setxattr(root / "opt/y", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    os.lchown(root / "lib", 3, 4)
    root.chmod(0o1777)


def _link(root: Path) -> None:
    os.link(root / "f", root / "a/b/linked")
    (root / "fresh").write_bytes(b"fresh")
    os.link(root / "fresh", root / "usr/fresh")
    os.link(root / "fifo", root / "pipe")


def _unlink(root: Path) -> None:
    (root / "three").unlink()
    (root / "a/old").unlink()


def _make_nodes(root: Path) -> None:
    os.mknod(root / "null", 0o020666, os.makedev(1, 3))
    os.mkfifo(root / "a/pipe")
    (root / "lib").unlink()
    (root / "lib").symlink_to("elsewhere")
    with (root / "sparse").open("wb") as holes:
        holes.truncate(1 << 20)


def _move(root: Path) -> None:
    (root / "f").rename(root / "a/f")
    (root / "opt/y").rename(root / "opt/in/x")


CHANGES = (_rewrite, _turn, _make_again, _dress, _link, _unlink, _make_nodes, _move)


async def test_the_same_changes_give_the_same_layer(three: Three) -> None:
    for driver in DRIVERS:
        await three.layer(driver, "base", None, tar(BASE))
    for change in CHANGES:
        layers = {}
        for driver in DRIVERS:
            key = f"container{change.__name__}"
            await three.each[driver].prepare(key, "base")
            root = Path(await three.mounted(driver, key))
            change(root)
            stamp(root)
            layers[driver] = await three.diff(driver, key)
        assert layers["vfs"] == layers["overlay"], change.__name__
        assert layers["btrfs"] == layers["overlay"], change.__name__
        assert layers["vfs"].rstrip(b"\0"), change.__name__


def stamp(root: Path) -> None:
    """Whatever was made or changed just now gets one time, so that it is no difference."""
    for at, folders, files in os.walk(root, topdown=False):
        for name in [".", *folders, *files]:
            path = os.path.join(at, name)
            if os.lstat(path).st_mtime > 1_700_000_000:
                os.utime(path, (1_650_000_000, 1_650_000_000), follow_symlinks=False)
