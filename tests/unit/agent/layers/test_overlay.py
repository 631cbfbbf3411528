"""What is particular to snapshots on overlayfs: its folders, and how they heal. Root needed."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest

from jackstay_agent.config import Limits
from jackstay_agent.errors import DiskFull, InUse, NotFound, Unsupported, WrongState
from jackstay_agent.kernel import syscalls
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers.overlay import OverlaySnapshotter
from jackstay_agent.layers.snapshotter import Applied, Snapshotter
from jackstay_agent.metadata.database import Database
from jackstay_oci.digest import Digest
from tests.unit.agent.layers.layer_tars import blob, file, folder, tar


@pytest.fixture
def layers(tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts) -> OverlaySnapshotter:
    return OverlaySnapshotter(str(tmp_path / "layers"), database, jobs, mounts, Limits())


@pytest.fixture
def snapshots(tmp_path: Path) -> Path:
    return tmp_path / "layers/snapshots"


async def unpack(layers: OverlaySnapshotter, key: str, data: bytes) -> Applied:
    descriptor = blob(data)
    try:
        return await layers.apply(key, descriptor, "none")
    finally:
        os.close(descriptor)


async def committed(layers: OverlaySnapshotter, name: str, parent: str | None, data: bytes) -> int:
    await layers.prepare("extract-" + name, parent)
    return (await layers.commit("extract-" + name, name, await unpack(layers, "extract-" + name, data))).id


def test_it_is_a_snapshotter(layers: OverlaySnapshotter) -> None:
    snapshotter: Snapshotter = layers
    assert snapshotter.name == "overlay"


async def test_the_top_of_a_snapshot_is_dressed_like_its_parent(layers: OverlaySnapshotter, snapshots: Path) -> None:
    base = await committed(layers, "base", None, tar([folder("./", mode=0o1771, uid=3, gid=4, mtime_ns=5)]))
    top = await committed(layers, "top", "base", tar([file("a")]))
    for number in (base, top):
        status = os.stat(snapshots / str(number) / "fs")
        assert (status.st_mode & 0o7777, status.st_uid, status.st_gid, status.st_mtime_ns) == (0o1771, 3, 4, 5)
        assert os.stat(snapshots / str(number)).st_mode & 0o7777 == 0o700
        assert os.listdir(snapshots / str(number)) == ["fs"]


async def test_a_commit_takes_the_kernels_folder_away(
    layers: OverlaySnapshotter, snapshots: Path, tmp_path: Path
) -> None:
    made = await layers.prepare("container-1", None)
    (tmp_path / "rootfs").mkdir()
    await layers.mount("container-1", str(tmp_path / "rootfs"))
    await layers.unmount(str(tmp_path / "rootfs"))
    assert sorted(os.listdir(snapshots / str(made.id))) == ["fs", "work"]
    await layers.commit("container-1", "one", Applied(Digest.of(b""), 0, 0))
    assert os.listdir(snapshots / str(made.id)) == ["fs"]


async def test_clean_deletes_what_has_no_row(layers: OverlaySnapshotter, snapshots: Path, tmp_path: Path) -> None:
    kept = await committed(layers, "base", None, tar([file("a")]))
    await layers.prepare("extract-x", "base")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").touch()
    for name in ("999", "new-abc", "removing-7"):
        deep = snapshots / name / "fs"
        deep.mkdir(parents=True)
        (deep / "way").symlink_to(tmp_path / "outside")
        os.link(tmp_path / "outside/file", deep / "hard")
    assert await layers.clean() == 4
    assert os.listdir(snapshots) == [str(kept)]
    assert os.listdir(tmp_path / "outside") == ["file"]


async def test_deleting_goes_as_deep_as_a_container_went(layers: OverlaySnapshotter, snapshots: Path) -> None:
    made = await layers.prepare("container-1", None)
    at = os.open(snapshots / str(made.id) / "fs", os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d" * 50, dir_fd=at)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=at))
        inner = os.open("d" * 50, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(at)
    await layers.remove("container-1")
    assert os.listdir(snapshots) == []


async def test_a_mount_below_is_not_followed_when_deleting(
    layers: OverlaySnapshotter, snapshots: Path, tmp_path: Path
) -> None:
    made = await layers.prepare("container-1", None)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").touch()
    inside = snapshots / str(made.id) / "fs/mounted"
    inside.mkdir()
    syscalls.mount(str(tmp_path / "outside"), str(inside), None, syscalls.MS_BIND)
    try:
        await layers.remove("container-1")
        assert os.listdir(tmp_path / "outside") == ["file"]
    finally:
        syscalls.umount(str(snapshots / f"removing-{made.id}/fs/mounted"))
    assert await layers.sweep() == 1
    assert os.listdir(snapshots) == []


async def test_a_transaction_that_is_rolled_back_leaves_no_folder(layers: OverlaySnapshotter, snapshots: Path) -> None:
    def refuse(_connection: sqlite3.Connection) -> None:
        raise InUse("no")

    with pytest.raises(InUse):
        await layers.prepare("container-1", None, along=refuse)
    assert os.listdir(snapshots) == []


async def test_the_id_of_a_folder_without_a_row_can_be_used(layers: OverlaySnapshotter, snapshots: Path) -> None:
    (snapshots / "1/fs").mkdir(parents=True)  # its transaction could not be committed
    made = await layers.prepare("container-1", None)
    assert made.id == 1
    assert "1" in os.listdir(snapshots)
    await layers.sweep()
    assert os.listdir(snapshots) == ["1"]


async def test_a_sweep_spares_what_gets_the_id_of_rubbish_meanwhile(
    layers: OverlaySnapshotter, snapshots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (snapshots / "1/fs").mkdir(parents=True)
    delete, made = layers._folders.delete, []

    async def later(name: str) -> None:
        made.append(await layers.prepare("container-1", None))
        await delete(name)

    monkeypatch.setattr(layers._folders, "delete", later)
    assert await layers.sweep() == 1
    assert [snapshot.id for snapshot in made] == [1]
    assert os.listdir(snapshots) == ["1"]


async def test_a_sweep_waits_for_what_another_deletes(
    layers: OverlaySnapshotter, snapshots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await layers.prepare("container-1", None)
    run, begun, go_on = layers._jobs.run, asyncio.Event(), asyncio.Event()

    async def slow(function: str, argument: object, descriptors: list[int]) -> object:
        assert not begun.is_set(), "it is deleted twice"
        begun.set()
        await go_on.wait()
        return await run(function, argument, descriptors)

    monkeypatch.setattr(layers._jobs, "run", slow)
    removal = asyncio.create_task(layers.remove("container-1"))
    await begun.wait()
    sweep = asyncio.create_task(layers.sweep())
    await asyncio.wait([sweep], timeout=0.2)
    assert not sweep.done()
    go_on.set()
    assert await sweep == 0
    assert os.listdir(snapshots) == []
    await removal


async def test_a_failed_preparation_leaves_nothing(
    layers: OverlaySnapshotter, snapshots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(layers._folders, "rename", full)
        with pytest.raises(DiskFull):
            await layers.prepare("container-1", None)
    assert os.listdir(snapshots) == []
    with pytest.raises(NotFound):
        await layers.stat("container-1")


async def test_sweeping_beside_preparations_takes_nothing_away(layers: OverlaySnapshotter, snapshots: Path) -> None:
    async def sweep() -> int:
        return sum([await layers.sweep() for _ in range(20)])

    async def prepare(number: int) -> int:
        made = await layers.prepare(f"container-{number}", None)
        return made.id

    swept, *made = await asyncio.gather(sweep(), *(prepare(number) for number in range(20)))
    assert swept == 0
    assert sorted(os.listdir(snapshots)) == sorted(str(number) for number in made)


async def test_a_removal_that_is_cancelled_is_finished(layers: OverlaySnapshotter, snapshots: Path) -> None:
    await layers.prepare("container-1", None)
    task = asyncio.create_task(layers.remove("container-1"))
    while not layers._folders._deleting:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.gather(*layers._folders._deleting.values())
    assert os.listdir(snapshots) == []


async def test_a_row_without_its_files_is_named(layers: OverlaySnapshotter, snapshots: Path) -> None:
    made = await layers.prepare("container-1", None)
    os.rename(snapshots / str(made.id), snapshots / "gone")
    with pytest.raises(NotFound, match="files of snapshot container-1"):
        await layers.usage("container-1")


async def test_a_layer_unpacked_before_its_parent_is_known(layers: OverlaySnapshotter, tmp_path: Path) -> None:
    data = tar([folder("etc"), file("etc/.wh.old"), file("etc/new", b"12")])
    diff_id = Digest.of(data)
    await layers.prepare_detached(diff_id)
    with pytest.raises(WrongState, match="not unpacked"):
        await layers.attach(diff_id, "extract-1", None)
    applied = await unpack(layers, f"detached-{diff_id}", data)
    await committed(layers, "base", None, tar([folder("etc"), file("etc/old")]))
    assert await layers.clean() == 0
    attached = await layers.attach(diff_id, "extract-1", "base")
    assert (attached.kind, attached.parent, attached.size, attached.inodes) == ("active", "base", 2, 3)
    await layers.commit("extract-1", "top", applied)
    await layers.view("view-1", "top")
    (tmp_path / "seen").mkdir()
    await layers.mount("view-1", str(tmp_path / "seen"))
    assert os.listdir(tmp_path / "seen/etc") == ["new"]


@pytest.mark.parametrize("says", [False, True])
async def test_the_top_of_a_layer_attached_later_is_as_its_parents_unless_it_says_itself(
    layers: OverlaySnapshotter, tmp_path: Path, says: bool
) -> None:
    own = [folder("./", mode=0o700, mtime_ns=7 * 10**9)] if says else []
    data = tar([*own, folder("etc")])
    diff_id = Digest.of(data)
    await layers.prepare_detached(diff_id)
    applied = await unpack(layers, f"detached-{diff_id}", data)
    await committed(layers, "base", None, tar([folder("./", mode=0o711, uid=5, mtime_ns=3 * 10**9)]))
    await layers.attach(diff_id, "extract-1", "base")
    await layers.commit("extract-1", "top", applied)
    await layers.view("view-1", "top")
    (tmp_path / "seen").mkdir()
    await layers.mount("view-1", str(tmp_path / "seen"))
    status = os.stat(tmp_path / "seen")
    shown = (status.st_mode & 0o7777, status.st_uid, int(status.st_mtime))
    assert shown == ((0o700, 0, 7) if says else (0o711, 5, 3))


async def test_a_layer_that_needs_a_look_below_cannot_be_detached(layers: OverlaySnapshotter) -> None:
    data = tar([file("etc/new", b"12")])
    await layers.prepare_detached(Digest.of(data))
    with pytest.raises(Unsupported, match="on top of"):
        await unpack(layers, f"detached-{Digest.of(data)}", data)
    assert await layers.clean() == 1


async def test_the_most_layers_fit_into_a_page_of_options_however_long_their_ids_are(
    layers: OverlaySnapshotter, database: Database, tmp_path: Path
) -> None:
    def count_on(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO snapshots (id, key, kind, created) VALUES (?, 'first', 'committed', 0)", (10**12,)
        )

    await database.write("test", count_on)
    parent = None
    for number in range(Limits().layers):
        await layers.prepare(f"extract-{number}", parent)
        made = await layers.commit(f"extract-{number}", f"layer-{number}", Applied(Digest.of(b""), 0, 0))
        parent = made.key
    assert made.id > 10**12
    await layers.prepare("container-1", parent)
    (tmp_path / "rootfs").mkdir()
    await layers.mount("container-1", str(tmp_path / "rootfs"))
    (tmp_path / "rootfs/new").touch()
    await layers.unmount(str(tmp_path / "rootfs"))
