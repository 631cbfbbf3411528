"""What a container has changed, path by path, the same with every driver. Root needed."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jackstay_agent.config import Limits
from jackstay_agent.errors import WrongState
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers.changes import Change
from jackstay_agent.layers.snapshotter import Snapshotter
from jackstay_agent.metadata.database import Database
from tests.unit.agent.layers.drivers import DRIVERS, root_for
from tests.unit.agent.layers.layer_tars import blob, file, folder, link, symlink, tar

BASE = tar(
    [
        folder("etc"), file("etc/keep", b"k"), file("etc/gone", b"g"), folder("old"), file("old/a", b"a"),
        file("old/b", b"b"), folder("opt"), folder("opt/in"), file("opt/in/x", b"x"), symlink("way", "etc"),
        folder("tmp"), file("one", b"1"), link("two", "one"), file("flat", b"f"), folder("full"), file("full/f", b"f"),
        folder("locked"),
    ]
)  # fmt: skip


@pytest.fixture(params=DRIVERS)
async def layers(
    request: pytest.FixtureRequest, tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts
) -> AsyncIterator[Snapshotter]:
    with root_for(request.param, tmp_path / "layers") as root:
        yield DRIVERS[request.param](str(root), database, jobs, mounts, Limits())
        for target in await mounts.mounted(str(tmp_path)):
            if target != str(root):
                await mounts.unmount(target)


async def container(layers: Snapshotter, root: Path, base: bytes | None = BASE) -> None:
    """The container ``container``, mounted at *root*."""
    if base is not None:
        descriptor = blob(base)
        await layers.prepare("extract", None)
        await layers.commit("extract", "base", await layers.apply("extract", descriptor, "none"))
        os.close(descriptor)
    await layers.prepare("container", None if base is None else "base")
    root.mkdir()
    await layers.mount("container", str(root))


async def test_every_kind_of_change(layers: Snapshotter, tmp_path: Path) -> None:
    root = tmp_path / "rootfs"
    await container(layers, root)
    assert await layers.changes("container") == []
    (root / "tmp/x").write_bytes(b"")
    (root / "tmp/x").unlink()
    (root / "opt").touch()
    assert await layers.changes("container") == []

    (root / "etc/gone").unlink()
    (root / "etc/new").write_bytes(b"")
    (root / "opt/in/x").write_bytes(b"changed")
    shutil.rmtree(root / "old")
    (root / "old").mkdir()
    (root / "old/b").write_bytes(b"other")
    (root / "flat").unlink()
    (root / "flat").mkdir()
    (root / "flat/in").symlink_to("/etc/passwd")
    shutil.rmtree(root / "full")
    (root / "full").write_bytes(b"now a file")
    (root / "locked").chmod(0o700)
    (root / os.fsdecode(b"dir \xff")).mkdir()
    (root / os.fsdecode(b"dir \xff/.wh.odd\n")).write_bytes(b"")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "tmp/socket"))
    assert await layers.changes("container") == [
        ("A", b"/dir \xff"),
        ("A", b"/dir \xff/.wh.odd\n"),
        ("C", b"/etc"),
        ("D", b"/etc/gone"),
        ("A", b"/etc/new"),
        ("C", b"/flat"),
        ("A", b"/flat/in"),
        ("C", b"/full"),
        ("C", b"/locked"),
        ("C", b"/old"),
        ("D", b"/old/a"),
        ("C", b"/old/b"),
        ("C", b"/opt"),
        ("C", b"/opt/in"),
        ("C", b"/opt/in/x"),
        ("C", b"/tmp"),
        ("A", b"/tmp/socket"),
    ]


async def test_what_the_runtime_makes_to_mount_on_is_no_change(layers: Snapshotter, tmp_path: Path) -> None:
    root = tmp_path / "rootfs"
    await container(layers, root, tar([folder("etc"), file("one", b"1")]))
    for name in ("proc", "sys", "dev", "data"):
        (root / name).mkdir()
    for name in ("hosts", "hostname", "resolv.conf"):
        (root / "etc" / name).write_bytes(b"")
    assert await layers.changes("container") == [("A", b"/data")]
    (root / "dev/own").write_bytes(b"")
    (root / "etc/hosts").write_bytes(b"127.0.0.1 localhost\n")
    assert await layers.changes("container") == [
        ("A", b"/data"),
        ("C", b"/dev"),
        ("A", b"/dev/own"),
        ("C", b"/etc"),
        ("A", b"/etc/hosts"),
    ]


async def test_on_nothing_everything_is_added(layers: Snapshotter, tmp_path: Path) -> None:
    root = tmp_path / "rootfs"
    await container(layers, root, None)
    (root / "in").mkdir()
    (root / "in/x").write_bytes(b"x")
    changes: list[Change] = await layers.changes("container")
    assert changes == [("A", b"/in"), ("A", b"/in/x")]


async def test_a_committed_snapshot_has_none(layers: Snapshotter, tmp_path: Path) -> None:
    await container(layers, tmp_path / "rootfs")
    with pytest.raises(WrongState):
        await layers.changes("base")
