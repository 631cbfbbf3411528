"""A committed snapshot compared with the same layer unpacked anew, found and replaced when it differs. Needs root."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from jackstay_agent.config import Limits
from jackstay_agent.errors import InUse, NotFound, WrongState
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers import compare
from jackstay_agent.layers.overlay import OverlaySnapshotter
from jackstay_agent.layers.snapshotter import Applied, Audit
from jackstay_agent.metadata.database import Database
from tests.unit.agent.layers.layer_tars import blob, file, folder, link, symlink, tar

TIME = (1_600_000_000 * 10**9,) * 2

BASE = tar(
    [
        folder("etc"),
        file("etc/passwd", b"root:x:0:0\n"),
        file("etc/shadow", b"root:!\n", mode=0o600),
        link("etc/passwd-", "etc/passwd"),
        symlink("etc/mtab", "/proc/mounts"),
        folder("empty"),
        file("data", b"x" * 3_000_000, xattrs={b"user.kind": b"big"}),
    ]
)
TOP = tar([file("etc/.wh.shadow"), folder("empty"), file("empty/.wh..wh..opq"), file("deep/er/file", b"1")])


@pytest.fixture
def layers(tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts) -> OverlaySnapshotter:
    return OverlaySnapshotter(str(tmp_path / "layers"), database, jobs, mounts, Limits())


async def unpack(layers: OverlaySnapshotter, key: str, parent: str | None, data: bytes) -> Applied:
    await layers.prepare(key, parent)
    descriptor = blob(data)
    try:
        return await layers.apply(key, descriptor, "none")
    finally:
        os.close(descriptor)


async def committed(layers: OverlaySnapshotter, name: str, parent: str | None, data: bytes) -> Path:
    """Make the layer; the folder of its files."""
    await layers.commit(f"extract-{name}", name, await unpack(layers, f"extract-{name}", parent, data))
    return Path(layers._folders.snapshots, str((await layers.stat(name)).id), "fs")


async def differences(layers: OverlaySnapshotter, name: str, parent: str | None, data: bytes) -> list[str]:
    await unpack(layers, "extract-again", parent, data)
    try:
        return await layers.compare(name, "extract-again")
    finally:
        await layers.remove("extract-again")


async def test_the_same_layer_is_the_same_on_every_level(layers: OverlaySnapshotter) -> None:
    await committed(layers, "base", None, BASE)
    await committed(layers, "top", "base", TOP)
    assert await differences(layers, "base", None, BASE) == []
    assert await differences(layers, "top", "base", TOP) == []


def rewrite(path: Path, old: bytes, new: bytes) -> None:
    """Change bytes and leave no trace in size or time, as a disk does that rots."""
    status = path.stat()
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def kept(path: Path, act: Callable[[Path], object]) -> None:
    """Do *act* in the folder of *path* without changing the folder's time."""
    status = path.parent.stat()
    act(path)
    os.utime(path.parent, ns=(status.st_atime_ns, status.st_mtime_ns))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte": (lambda fs: rewrite(fs / "etc/passwd", b"x", b"y"), "'etc/passwd': its content differs"),
    "the last byte of a big one": (lambda fs: rewrite(fs / "data", b"x", b"y"), "'data': its content differs"),
    "size": (lambda fs: os.truncate(fs / "data", 5), "'data': it has 5 bytes, not 3000000"),
    "mode": (lambda fs: (fs / "etc/shadow").chmod(0o644), "'etc/shadow': its mode is 0644, not 0600"),
    "owner": (lambda fs: os.chown(fs / "etc/shadow", 5, 6), "'etc/shadow': it belongs to 5:6, not 0:0"),
    "time": (lambda fs: os.utime(fs / "etc/shadow"), "'etc/shadow': its time of modification differs"),
    "attribute": (
        lambda fs: os.setxattr(fs / "data", "user.kind", b"bad"),
        "'data': its extended attributes differ",
    ),
    "opaque": (
        lambda fs: os.setxattr(fs / "empty", "trusted.overlay.opaque", b"y"),
        "'empty': its extended attributes differ",
    ),
    "gone": (lambda fs: kept(fs / "etc/shadow", Path.unlink), "'etc/shadow': it is missing"),
    "new": (lambda fs: kept(fs / "etc/cron", Path.touch), "'etc/cron': the layer has no such file"),
    "another kind": (
        lambda fs: kept(fs / "etc/shadow", lambda path: (path.unlink(), path.mkdir())),
        "'etc/shadow': it is of another kind",
    ),
    "link": (
        lambda fs: kept(
            fs / "etc/mtab",
            lambda path: (path.unlink(), path.symlink_to("/tmp"), os.utime(path, ns=TIME, follow_symlinks=False)),
        ),
        "'etc/mtab': it links to something else",
    ),
    "hard link": (
        lambda fs: kept(
            fs / "etc/passwd-",
            lambda path: (path.unlink(), shutil.copy2(fs / "etc/passwd", path)),
        ),
        "'etc/passwd': its hard links differ",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
async def test_what_differs_is_named(layers: OverlaySnapshotter, what: str) -> None:
    fs = await committed(layers, "base", None, BASE)
    act, wanted = DAMAGE[what]
    act(fs)
    told = await differences(layers, "base", None, BASE)
    assert told[0] == wanted


async def test_only_a_few_of_many_differences_are_told(layers: OverlaySnapshotter) -> None:
    many = tar([file(f"{number:03}", b"1") for number in range(100)])
    fs = await committed(layers, "many", None, many)
    for path in fs.iterdir():
        path.chmod(0o777)
    assert len(await differences(layers, "many", None, many)) == compare.TOLD


async def test_a_path_that_is_longer_than_the_kernel_takes_is_compared(layers: OverlaySnapshotter) -> None:
    fs = await committed(layers, "base", None, tar([folder("a")]))
    await unpack(layers, "extract-again", None, tar([folder("a")]))
    other = Path(layers._folders.snapshots, str((await layers.stat("extract-again")).id), "fs")
    for top, content in ((fs, "1"), (other, "2")):
        at = os.open(top / "a", os.O_RDONLY)
        for _ in range(30):
            os.mkdir("d" * 200, dir_fd=at)
            at, above = os.open("d" * 200, os.O_RDONLY, dir_fd=at), at
            os.close(above)
        with open("file", "w", opener=lambda name, flags, at=at: os.open(name, flags, dir_fd=at)) as deepest:
            deepest.write(content)
        for _ in range(31):
            os.utime(at, ns=(0, 0))
            at, below = os.open("..", os.O_RDONLY, dir_fd=at), at
            os.close(below)
        os.utime(at, ns=(0, 0))
        os.close(at)
    (line,) = await layers.compare("base", "extract-again")
    assert "differs" in line


async def test_what_is_missing_or_has_no_row_is_told(layers: OverlaySnapshotter) -> None:
    fs = await committed(layers, "base", None, BASE)
    assert await layers.audit() == Audit((), ())
    (fs.parent.parent / "stray").mkdir()
    (fs.parent.parent / "99").mkdir()
    shutil.rmtree(fs)
    found = await layers.audit()
    assert (found.missing, sorted(found.orphaned)) == (("base",), ["99", "stray"])
    with pytest.raises(NotFound, match="missing"):
        await differences(layers, "base", None, BASE)
    assert await layers.sweep() == 2
    assert await layers.audit() == Audit(("base",), ())


async def test_a_replaced_layer_carries_what_rested_on_the_old_one(layers: OverlaySnapshotter, tmp_path: Path) -> None:
    fs = await committed(layers, "base", None, BASE)
    await committed(layers, "top", "base", TOP)
    await layers.prepare("container-1", "top")
    shutil.rmtree(fs)
    applied = await unpack(layers, "extract-again", None, BASE)

    def refuse(connection: sqlite3.Connection) -> None:
        raise InUse("somebody runs on it")

    with pytest.raises(InUse):
        await layers.replace("base", "extract-again", applied, along=refuse)
    assert (await layers.audit()).missing == ("base",)
    new = await layers.replace("base", "extract-again", applied)
    assert (new.key, new.kind, new.diff_id, new.size) == ("base", "committed", applied.diff_id, applied.size)
    assert await layers.audit() == Audit((), ())
    (target := tmp_path / "root").mkdir()
    await layers.mount("container-1", str(target))
    assert (target / "etc/passwd").read_bytes() == b"root:x:0:0\n"
    await layers.unmount(str(target))
    with pytest.raises(WrongState):
        await layers.replace("container-1", "base", applied)
