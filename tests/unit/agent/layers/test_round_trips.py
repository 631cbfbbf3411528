"""Any tree, changed in any way through its mount, makes the round trip: diff, tar, apply. Root needed.

For every driver of `Snapshotter`. What is compared is everything that a layer carries, times cut to the second.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_agent.config import Limits
from jackstay_agent.kernel import syscalls
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers import diff as diffing
from jackstay_agent.layers.snapshotter import Snapshotter
from jackstay_agent.metadata.database import Database
from jackstay_oci.digest import Digest
from jackstay_oci.tar.entries import Kind
from jackstay_oci.tar.reader import TarReader
from tests.effort import examples
from tests.unit.agent.layers import random_trees
from tests.unit.agent.layers.drivers import DRIVERS, root_for
from tests.unit.agent.layers.layer_tars import blob, snapshot

_numbers = itertools.count(1)


class Bench:
    """Snapshots of one driver, and folders to see them at."""

    def __init__(self, snapshotter: Snapshotter, mounts: Mounts, folder: Path) -> None:
        self.snapshotter = snapshotter
        self.folder = folder
        self._mounts = mounts

    async def layer(self, parent: str | None, data: bytes) -> str:
        """A committed snapshot of the layer *data* on *parent*."""
        key = f"extract-{next(_numbers)}"
        name = f"layer-{next(_numbers)}"
        await self.snapshotter.prepare(key, parent)
        descriptor = blob(data)
        try:
            applied = await self.snapshotter.apply(key, descriptor, "none")
        finally:
            os.close(descriptor)
        assert applied.diff_id == Digest.of(data)
        await self.snapshotter.commit(key, name, applied)
        return name

    async def container(self, parent: str, data: bytes | None = None) -> str:
        """A writable snapshot on *parent*, with the layer *data* unpacked into it."""
        key = f"container-{next(_numbers)}"
        await self.snapshotter.prepare(key, parent)
        if data is not None:
            descriptor = blob(data)
            await self.snapshotter.apply(key, descriptor, "none")
            os.close(descriptor)
        return key

    async def mounted(self, key: str) -> str:
        target = self.folder / f"at-{key}"
        target.mkdir()
        await self.snapshotter.mount(key, str(target))
        return str(target)

    async def view(self, name: str) -> str:
        key = f"view-{next(_numbers)}"
        await self.snapshotter.view(key, name)
        return await self.mounted(key)

    async def diff(self, key: str) -> bytes:
        out = blob(b"")
        try:
            told = await self.snapshotter.diff(key, out)
            data = os.pread(out, os.fstat(out).st_size, 0)
        finally:
            os.close(out)
        assert (told.diff_id, told.size) == (Digest.of(data), len(data))
        assert told.empty == (not list(TarReader(io.BytesIO(data))))
        return data

    async def leave(self) -> None:
        for target in await self._mounts.mounted(str(self.folder)):
            if target != str(self.folder / "layers"):
                await self.snapshotter.unmount(target)


@pytest.fixture(params=DRIVERS)
def bench(
    request: pytest.FixtureRequest, tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Bench]:  # fmt: skip
    monkeypatch.setattr(syscalls, "syncfs", lambda _descriptor: None)  # that it is called is seen elsewhere
    with root_for(request.param, tmp_path / "layers") as root:
        yield Bench(DRIVERS[request.param](str(root), database, jobs, mounts, Limits()), mounts, tmp_path)


@examples(15)
@given(base=random_trees.trees, steps=st.lists(random_trees.changes, min_size=1, max_size=2))
async def test_a_diff_applied_gives_the_same_tree_and_the_same_diff(bench: Bench, base: Any, steps: list[Any]) -> None:
    source = bench.folder / f"source-{next(_numbers)}"
    source.mkdir()
    random_trees.perform(os.fsencode(source), base)
    below = await bench.layer(None, await whole(source))
    try:
        assert snapshot(await bench.view(below), fraction=False) == _without_sockets(source)
        for change in steps:
            container = await bench.container(below)
            changed = await bench.mounted(container)
            random_trees.perform(os.fsencode(changed), change)
            data = await bench.diff(container)
            assert await bench.diff(container) == data
            # Where nothing is left of what changed, or only the time did, the folder is not part of the diff.
            told = {entry.name.rstrip(b"/") for entry in TarReader(io.BytesIO(data)) if entry.kind is Kind.DIRECTORY}
            top = await bench.layer(below, data)
            expected, found = snapshot(changed, fraction=False), snapshot(await bench.view(top), fraction=False)
            assert _times_of(found, told) == _times_of(_sockets_gone(expected), told)
            # The layer, unpacked into a container, is what that container changed.
            assert await bench.diff(await bench.container(below, data)) == data
            below = top
    finally:
        await bench.leave()


@examples(20)
@given(base=random_trees.trees)
def test_gnu_tar_and_python_read_the_same(tmp_path: Path, base: Any) -> None:
    source, unpacked = tmp_path / f"source-{next(_numbers)}", tmp_path / f"unpacked-{next(_numbers)}"
    source.mkdir()
    unpacked.mkdir()
    random_trees.perform(os.fsencode(source), base)
    data = _whole(source)
    options = ["--same-owner", "--delay-directory-restore", "--xattrs", "--xattrs-include=*"]
    subprocess.run(["tar", "-C", unpacked, "-xpf", "-", *options], input=data, check=True, capture_output=True)
    assert snapshot(str(unpacked), fraction=False) == _without_sockets(source)
    with tarfile.open(fileobj=io.BytesIO(data)) as read:
        theirs = [
            (os.fsencode(each.name), each.linkname, each.mode, each.uid, each.gid, each.size, int(each.mtime))
            for each in read
        ]
    ours = [
        (
            entry.name.rstrip(b"/"), os.fsdecode(entry.linkname), entry.mode, entry.uid, entry.gid, entry.size,
            entry.mtime_ns // 10**9,
        )
        for entry in TarReader(io.BytesIO(data))
    ]  # fmt: skip
    assert theirs == ours


async def whole(folder: Path) -> bytes:
    return await asyncio.to_thread(_whole, folder)


def _whole(folder: Path) -> bytes:
    """The tree below *folder* as a layer on nothing."""
    opened, out = os.open(folder, os.O_RDONLY), blob(b"")
    try:
        diffing.diff(opened, None, out)
        return os.pread(out, os.fstat(out).st_size, 0)
    finally:
        os.close(opened)
        os.close(out)


def _without_sockets(folder: Path) -> dict[str, tuple[Any, ...]]:
    return _sockets_gone(snapshot(str(folder), fraction=False))


def _sockets_gone(tree: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    """Sockets belong to a process that listens: no layer has them."""
    return {name: facts for name, facts in tree.items() if facts[0] != stat.S_IFSOCK}


def _times_of(tree: dict[str, tuple[Any, ...]], folders: set[bytes]) -> dict[str, tuple[Any, ...]]:
    """*tree* with the times of all files, and of those folders that are in *folders*."""
    return {
        name: facts if facts[0] != stat.S_IFDIR or os.fsencode(name) in folders else (*facts[:4], None, *facts[5:])
        for name, facts in tree.items()
    }
