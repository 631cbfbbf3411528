"""What a child whose root is a hostile tree must not do with it: open its devices, run its code. Root needed."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from isal import isal_zlib

from jackstay_agent.kernel.spawner import Spawner
from jackstay_oci.tar.entries import Kind
from tests.unit.agent.layers.layer_tars import link, node, tar
from tests.unit.agent.layers.test_defences import Unpack
from tests.unit.agent.spawned import start_spawner

JOBS = "tests.unit.agent.layers.hostile_roots"


@pytest.fixture
async def jobs() -> AsyncIterator[Spawner]:
    spawner = start_spawner(JOBS)
    yield spawner
    await spawner.close()


async def run(jobs: Spawner, job: str, argument: object, *folders: Path) -> object:
    descriptors = [os.open(folder, os.O_RDONLY | os.O_DIRECTORY) for folder in folders]
    try:
        return await jobs.run(f"{JOBS}:{job}", argument, descriptors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


@pytest.mark.parametrize(
    ("off", "succeeds"),
    [([], []), (["mount"], ["device", "library"]), (["imports"], ["module"])],
)
async def test_nothing_of_the_root_is_opened_or_run(
    jobs: Spawner, tmp_path: Path, off: list[str], succeeds: list[str]
) -> None:
    hostile = tmp_path / "hostile"
    for place in [part for part in sys.path if part.startswith("/")]:
        (hostile / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
        (hostile / place.lstrip("/") / "strange_module.py").touch()
    os.mknod(hostile / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    shutil.copy(isal_zlib.__file__, hostile / "library.so")
    assert await run(jobs, "try_everything", off, hostile) == succeeds


@pytest.mark.parametrize("off", [False, True])
async def test_a_device_put_in_the_place_of_a_file_is_not_opened(jobs: Spawner, tmp_path: Path, off: bool) -> None:
    """Of a container that runs while it is committed. To open a watchdog's device is enough to reset the host."""
    for name in ("upper", "view", "out"):
        (tmp_path / name).mkdir()
    os.mknod(tmp_path / "upper/file", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    argument = {"folder": str(tmp_path), "target": str(tmp_path / "view"), "lower": [], "whole": False, "off": off}
    opened = await run(jobs, "diff_a_device_taken_for_a_file", argument, tmp_path / "upper", tmp_path / "out")
    assert opened == (["file"] if off else [])


async def test_a_device_is_not_opened_to_dress_it(unpack: Unpack, tmp_path: Path) -> None:
    """No driver has the number, so that an attempt to open it would fail, and the layer with it."""
    data = tar([node("device", Kind.CHARACTER, 240, 77), link("twin", "device", xattrs={b"user.note": b"n"})])
    await unpack(data)
    assert os.stat(tmp_path / "fs/twin").st_nlink == 2
