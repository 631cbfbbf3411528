"""What every `Snapshotter` must do. Needs root: it mounts, and makes device nodes."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from isal import igzip

from jackstay_agent.config import Limits
from jackstay_agent.errors import (
    AlreadyExists,
    DiskFull,
    InUse,
    InvalidArchive,
    LimitExceeded,
    NotFound,
    Unsupported,
    WrongState,
)
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers.snapshotter import Applied, Audit, Diffed, Snapshot, Snapshotter
from jackstay_agent.metadata.database import Database
from jackstay_oci.digest import Digest
from tests.unit.agent.layers.drivers import DRIVERS, new_filesystem, root_for
from tests.unit.agent.layers.layer_tars import blob, file, folder, link, snapshot, symlink, tar


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def snapshotter(
    driver: str, tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts
) -> AsyncIterator[Snapshotter]:
    with root_for(driver, tmp_path / "layers") as root:
        yield DRIVERS[driver](str(root), database, jobs, mounts, Limits())
        for target in await mounts.mounted(str(tmp_path)):
            if target != str(root):
                await mounts.unmount(target)


async def unpack(snapshotter: Snapshotter, key: str, data: bytes, compression: str = "none") -> Applied:
    descriptor = blob(data)
    try:
        return await snapshotter.apply(key, descriptor, compression)
    finally:
        os.close(descriptor)


async def layer(snapshotter: Snapshotter, name: str, parent: str | None, data: bytes) -> Snapshot:
    key = f"extract-{name}"
    await snapshotter.prepare(key, parent)
    return await snapshotter.commit(key, name, await unpack(snapshotter, key, data))


async def diffed(snapshotter: Snapshotter, key: str) -> tuple[Diffed, bytes]:
    out = blob(b"")
    try:
        told = await snapshotter.diff(key, out)
        return told, os.pread(out, os.fstat(out).st_size, 0)
    finally:
        os.close(out)


def folder_for(tmp_path: Path, name: str) -> str:
    (tmp_path / name).mkdir()
    return str(tmp_path / name)


async def test_layers_stack_and_a_container_sees_them_merged(
    snapshotter: Snapshotter, tmp_path: Path, mounts: Mounts
) -> None:
    await layer(snapshotter, "base", None, tar([folder("etc"), file("etc/a", b"1"), file("etc/b", b"2")]))
    await layer(snapshotter, "top", "base", tar([folder("etc"), file("etc/.wh.a"), file("etc/c", b"3")]))
    await snapshotter.prepare("container-1", "top")
    target = folder_for(tmp_path, "rootfs")
    await snapshotter.mount("container-1", target)
    assert sorted(os.listdir(f"{target}/etc")) == ["b", "c"]
    assert await mounts.mounted(target) == [target]
    Path(f"{target}/etc/b").write_bytes(b"changed")
    await snapshotter.view("view-1", "top")
    seen = folder_for(tmp_path, "seen")
    await snapshotter.mount("view-1", seen)
    assert Path(f"{seen}/etc/b").read_bytes() == b"2"
    with pytest.raises(OSError, match="Read-only"):
        Path(f"{seen}/new").write_bytes(b"")
    await snapshotter.unmount(target)
    await snapshotter.unmount(seen)


async def test_a_snapshot_on_nothing_is_one_writable_mount(
    snapshotter: Snapshotter, tmp_path: Path, mounts: Mounts
) -> None:
    await snapshotter.prepare("container-1", None)
    target = folder_for(tmp_path, "rootfs")
    await snapshotter.mount("container-1", target)
    assert await mounts.mounted(target) == [target]
    assert os.listdir(target) == []
    assert os.stat(target).st_mode & 0o7777 == 0o755
    Path(target, "a").write_bytes(b"x")
    await snapshotter.unmount(target)
    await snapshotter.mount("container-1", target)
    assert Path(target, "a").read_bytes() == b"x"


async def test_mounting_and_unmounting_twice_is_no_error(
    snapshotter: Snapshotter, tmp_path: Path, mounts: Mounts
) -> None:
    await snapshotter.prepare("container-1", None)
    target = folder_for(tmp_path, "rootfs")
    await asyncio.gather(*(snapshotter.mount("container-1", target) for _ in range(4)))
    assert await mounts.mounted(target) == [target]
    await snapshotter.unmount(target)
    await snapshotter.unmount(target)
    assert await mounts.mounted(target) == []


async def test_the_most_layers_that_an_image_may_have(snapshotter: Snapshotter, tmp_path: Path) -> None:
    parent = None
    for number in range(Limits().layers):
        name = f"layer-{number}"
        await snapshotter.prepare(f"extract-{number}", parent)
        await snapshotter.commit(f"extract-{number}", name, Applied(Digest.of(b"x"), 0, 0))
        parent = name
    await snapshotter.prepare("container-1", parent)
    target = folder_for(tmp_path, "rootfs")
    await snapshotter.mount("container-1", target)
    Path(target, "a").write_bytes(b"x")
    told, _ = await diffed(snapshotter, "container-1")
    assert not told.empty
    await snapshotter.prepare("extract-last", parent)
    await unpack(snapshotter, "extract-last", tar([file("deep/in/it", b"1")]))
    await snapshotter.commit("extract-last", "one-too-many", Applied(Digest.of(b"x"), 0, 0))
    with pytest.raises(LimitExceeded, match="layers"):
        await snapshotter.prepare("container-2", "one-too-many")


@pytest.mark.parametrize("compression", ["none", "gzip"])
async def test_the_diff_id_is_of_the_whole_stream_with_what_follows_the_tar(
    snapshotter: Snapshotter, compression: str
) -> None:
    data = tar([file("a", b"content" * 1000)]) + b"after the end" * 100_000
    await snapshotter.prepare("extract-1", None)
    packed = igzip.compress(data) if compression == "gzip" else data
    applied = await unpack(snapshotter, "extract-1", packed, compression)
    assert applied.diff_id == Digest.of(data)
    assert (applied.size, applied.inodes) == (7000, 1)


async def test_keys_and_parents_are_checked(snapshotter: Snapshotter) -> None:
    await snapshotter.prepare("extract-1", None)
    with pytest.raises(AlreadyExists):
        await snapshotter.prepare("extract-1", None)
    with pytest.raises(NotFound):
        await snapshotter.prepare("extract-2", "extract-1")
    with pytest.raises(NotFound):
        await snapshotter.stat("extract-2")
    with pytest.raises(NotFound):
        await snapshotter.view("view-1", "nothing")
    await snapshotter.commit("extract-1", "one", Applied(Digest.of(b"x"), 1, 2))
    with pytest.raises(WrongState):
        await unpack(snapshotter, "one", tar([]))
    with pytest.raises(WrongState):
        await snapshotter.mount("one", "/nowhere")
    await snapshotter.prepare("container-1", "one")
    with pytest.raises(InUse, match="container-1"):
        await snapshotter.remove("one")
    assert (await snapshotter.stat("container-1")).parent == "one"
    await snapshotter.remove("container-1")
    await snapshotter.remove("one")
    await snapshotter.remove("one")
    with pytest.raises(NotFound):
        await snapshotter.stat("one")


async def test_two_commits_of_one_layer_both_succeed(snapshotter: Snapshotter, tmp_path: Path) -> None:
    data = tar([file("a", b"1")])
    for key in ("extract-1", "extract-2"):
        await snapshotter.prepare(key, None)
    applied = [await unpack(snapshotter, key, data) for key in ("extract-1", "extract-2")]
    first, second = await asyncio.gather(
        snapshotter.commit("extract-1", "one", applied[0]), snapshotter.commit("extract-2", "one", applied[1])
    )
    assert first == second
    for key in ("extract-1", "extract-2"):
        with pytest.raises(NotFound):
            await snapshotter.stat(key)
    await snapshotter.view("view-1", "one")
    target = folder_for(tmp_path, "seen")
    await snapshotter.mount("view-1", target)
    assert os.listdir(target) == ["a"]


async def test_what_goes_along_is_in_the_same_transaction(snapshotter: Snapshotter, database: Database) -> None:
    def lease(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO leases VALUES ('one', 1)")

    def refuse(connection: sqlite3.Connection) -> None:
        lease(connection)
        raise InUse("no")

    with pytest.raises(InUse):
        await snapshotter.prepare("container-1", None, along=refuse)
    with pytest.raises(NotFound):
        await snapshotter.stat("container-1")
    assert await database.read(lambda c: c.execute("SELECT count(*) FROM leases").fetchone()[0]) == 0
    await snapshotter.prepare("container-1", None, along=lease)
    with pytest.raises(InUse):
        await snapshotter.remove("container-1", along=lambda c: refuse(c) if c.execute("DELETE FROM leases") else None)
    assert (await snapshotter.stat("container-1")).kind == "active"
    assert await database.read(lambda c: c.execute("SELECT count(*) FROM leases").fetchone()[0]) == 1


async def test_a_layer_that_fails_can_be_removed_and_tried_again(snapshotter: Snapshotter) -> None:
    await snapshotter.prepare("extract-1", None)
    with pytest.raises(InvalidArchive):
        await unpack(snapshotter, "extract-1", tar([file("a", b"1" * 5000)])[:2000])
    await snapshotter.remove("extract-1")
    await layer(snapshotter, "one", None, tar([file("a", b"1")]))


async def test_clean_removes_extractions_and_keeps_the_rest(snapshotter: Snapshotter, tmp_path: Path) -> None:
    await layer(snapshotter, "one", None, tar([file("a", b"1")]))
    await snapshotter.prepare("extract-1", "one")
    await unpack(snapshotter, "extract-1", tar([file("b", b"1")]))
    await snapshotter.prepare("container-1", "one")
    assert await snapshotter.clean() == 1
    with pytest.raises(NotFound):
        await snapshotter.stat("extract-1")
    target = folder_for(tmp_path, "rootfs")
    await snapshotter.mount("container-1", target)
    assert os.listdir(target) == ["a"]
    assert await snapshotter.clean() == 0


async def test_usage(snapshotter: Snapshotter, tmp_path: Path) -> None:
    await layer(snapshotter, "one", None, tar([file("a", b"1" * 10_000), folder("d"), symlink("s", "a")]))
    assert await snapshotter.usage("one") == (10_000, 3)
    await snapshotter.prepare("container-1", "one")
    before = await snapshotter.usage("container-1")
    target = folder_for(tmp_path, "rootfs")
    await snapshotter.mount("container-1", target)
    Path(target, "b").write_bytes(os.urandom(1 << 20))
    os.link(f"{target}/b", f"{target}/c")
    os.sync()
    taken, inodes = await snapshotter.usage("container-1")
    assert (1 << 20) <= taken - before[0] < (2 << 20)
    assert inodes - before[1] == 1


async def test_a_diff_applied_on_the_same_parent_gives_the_same_tree(snapshotter: Snapshotter, tmp_path: Path) -> None:
    base = [
        folder("etc"), file("etc/keep", b"k"), file("etc/gone", b"g"), folder("var"), file("var/log", b"l"),
        folder("opt"), folder("opt/in"), file("opt/in/x", b"x"), file("opt/y", b"y"), file("bin", b"b"),
        symlink("lib", "usr/lib"), folder("usr"), folder("usr/lib"), file("two", b"2"), link("three", "two"),
    ]  # fmt: skip
    await layer(snapshotter, "base", None, tar(base))
    await snapshotter.prepare("container-1", "base")
    target = folder_for(tmp_path, "rootfs")
    await snapshotter.mount("container-1", target)
    root = Path(target)
    (root / "etc/gone").unlink()
    (root / "etc/new").write_bytes(b"n" * 100_000)
    os.chown(root / "etc/new", 1000, 1001)
    (root / "etc/new").chmod(0o4755)
    (root / "opt/in/x").unlink()
    (root / "opt/in").rmdir()
    (root / "opt/y").unlink()
    (root / "opt").rmdir()
    (root / "opt").mkdir()
    (root / "opt/z").write_bytes(b"z")
    (root / "bin").unlink()
    (root / "bin").mkdir()
    (root / "bin/sh").write_bytes(b"s")
    (root / "lib").unlink()
    (root / "lib").symlink_to("elsewhere")
    (root / "var").chmod(0o700)
    os.mkfifo(root / "fifo")
    os.link(root / "etc/new", root / "etc/also")
    os.setxattr(root / "etc/new", "user.note", b"hello")
    os.setxattr(root / "etc/keep", "security.capability", b"\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
    told, data = await diffed(snapshotter, "container-1")
    again, same = await diffed(snapshotter, "container-1")
    assert (told, data) == (again, same)
    assert told == Diffed(Digest.of(data), len(data), False)
    await layer(snapshotter, "next", "base", data)
    await snapshotter.view("view-1", "next")
    seen = folder_for(tmp_path, "seen")
    await snapshotter.mount("view-1", seen)
    assert snapshot(seen, fraction=False) == snapshot(target, fraction=False)
    assert "etc/gone" not in snapshot(seen)


async def test_a_diff_without_changes_is_empty(snapshotter: Snapshotter, tmp_path: Path) -> None:
    await layer(snapshotter, "base", None, tar([folder("tmp"), file("a", b"1")]))
    await snapshotter.prepare("container-1", "base")
    told, data = await diffed(snapshotter, "container-1")
    assert told.empty
    target = folder_for(tmp_path, "rootfs")
    await snapshotter.mount("container-1", target)
    Path(target, "tmp/x").write_bytes(b"")
    Path(target, "tmp/x").unlink()
    told, again = await diffed(snapshotter, "container-1")
    assert told.empty
    assert again == data == bytes(10240)
    await snapshotter.prepare("container-2", None)
    assert (await diffed(snapshotter, "container-2"))[0].empty


async def test_a_cancelled_unpacking_leaves_nothing_running(snapshotter: Snapshotter, jobs: Spawner) -> None:
    reading, writing = os.pipe()
    await snapshotter.prepare("extract-1", None)
    task = asyncio.create_task(snapshotter.apply("extract-1", reading, "none"))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    os.close(reading)
    with pytest.raises(BrokenPipeError):  # nobody else has the other end open
        os.write(writing, b"x")
    os.close(writing)
    await snapshotter.remove("extract-1")


async def test_only_who_can_detaches(snapshotter: Snapshotter) -> None:
    data = tar([folder("etc"), file("etc/.wh.old"), file("etc/new", b"12")])
    await layer(snapshotter, "base", None, tar([folder("etc"), file("etc/old")]))
    if not snapshotter.detaches:
        with pytest.raises(Unsupported, match=snapshotter.name):
            await snapshotter.prepare_detached(Digest.of(data))
        with pytest.raises(Unsupported, match=snapshotter.name):
            await snapshotter.attach(Digest.of(data), "extract-1", "base")
        return
    detached = await snapshotter.prepare_detached(Digest.of(data))
    applied = await unpack(snapshotter, detached.key, data)
    await snapshotter.attach(Digest.of(data), "extract-1", "base")
    assert (await snapshotter.commit("extract-1", "top", applied)).parent == "base"


async def test_a_damaged_layer_is_found_and_replaced(snapshotter: Snapshotter, tmp_path: Path) -> None:
    data = tar([folder("etc"), file("etc/a", b"right"), file("etc/.wh.b")])
    await layer(snapshotter, "base", None, tar([folder("etc"), file("etc/b", b"2")]))
    bad = tar([folder("etc"), file("etc/a", b"wrong"), file("etc/.wh.b")])
    await snapshotter.prepare("extract-1", "base")
    await snapshotter.commit("extract-1", "top", await unpack(snapshotter, "extract-1", bad))
    await snapshotter.prepare("container-1", "top")
    await snapshotter.prepare("extract-2", "base")
    applied = await unpack(snapshotter, "extract-2", data)
    assert await snapshotter.compare("top", "extract-2") == ["'etc/a': its content differs"]
    assert (await snapshotter.replace("top", "extract-2", applied)).diff_id == Digest.of(data)
    await snapshotter.prepare("extract-3", "base")
    await unpack(snapshotter, "extract-3", data)
    assert await snapshotter.compare("top", "extract-3") == []
    assert (await snapshotter.stat("container-1")).parent == "top"
    await snapshotter.view("view-1", "top")
    target = folder_for(tmp_path, "seen")
    await snapshotter.mount("view-1", target)
    assert Path(target, "etc/a").read_bytes() == b"right"


async def test_an_audit_names_what_has_no_other_half(snapshotter: Snapshotter, tmp_path: Path) -> None:
    await layer(snapshotter, "base", None, tar([file("a")]))
    gone = await snapshotter.prepare("container-1", "base")
    await snapshotter.view("view-1", "base")
    assert await snapshotter.audit() == Audit((), ())
    snapshots = tmp_path / "layers/snapshots"
    (snapshots / str(gone.id)).rename(snapshots / "77")
    assert await snapshotter.audit() == Audit(("container-1",), ("77",))
    assert await snapshotter.sweep() == 1
    assert await snapshotter.audit() == Audit(("container-1",), ())


async def test_a_preparation_that_is_cancelled_leaves_nothing(snapshotter: Snapshotter, tmp_path: Path) -> None:
    await layer(snapshotter, "base", None, tar([file("a", bytes(8 << 20))]))
    for wait in (0, 0.001, 0.01, 0.03):
        task = asyncio.create_task(snapshotter.prepare("container-1", "base"))
        await asyncio.sleep(wait)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        # Its transaction may have gone on: then it is a snapshot like any other.
        await snapshotter.remove("container-1")
        assert await snapshotter.audit() == Audit((), ())


async def test_a_full_disk_is_told_and_leaves_nothing(
    driver: str, tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts
) -> None:
    at = tmp_path / "small"
    at.mkdir()
    with new_filesystem("btrfs" if driver == "btrfs" else "ext4", at, 128 << 20):
        layers = DRIVERS[driver](str(at / "layers"), database, jobs, mounts, Limits())
        with pytest.raises(DiskFull):
            await layer(layers, "large", None, tar([file("a", os.urandom(160 << 20))]))
        await layers.clean()
        assert os.listdir(at / "layers/snapshots") == []
        if driver == "vfs":
            await layer(layers, "half", None, tar([file("a", os.urandom(70 << 20))]))
            with pytest.raises(DiskFull):
                await layers.prepare("container-1", "half")
            assert os.listdir(at / "layers/snapshots") == [str((await layers.stat("half")).id)]
