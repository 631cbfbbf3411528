"""An agent killed at each fault point of its layers: afterwards every row has its files, and a retry succeeds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jackstay_agent.config import Limits
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers.overlay import OverlaySnapshotter
from jackstay_agent.metadata.database import Database
from tests.unit.agent.layers.layer_tars import blob, file, folder, tar

ROOT = Path(__file__).parents[4]
POINTS = [
    f"{point}{when}"
    for point in ("metadata.layers.prepare", "metadata.layers.commit", "metadata.layers.remove")
    for when in ("", ".committed")
] + [
    "layers.prepare.renamed",
    "layers.prepare.synced",
    "layers.lower.private",
    "layers.lower.mounted",
    "layers.apply.synced",
    "layers.remove.renamed",
]
LIFE = """
import asyncio, os, sys
from jackstay_agent.kernel import spawner
from tests.unit.agent.spawned import MODULES
jobs = spawner.start(MODULES)
from jackstay_agent.config import Limits
from jackstay_agent.kernel.mounts import LinuxMounts
from jackstay_agent.layers.overlay import OverlaySnapshotter
from jackstay_agent.metadata.database import Database

async def main(root):
    database = await Database.open(root + "/jackstay.db")
    layers = OverlaySnapshotter(root + "/layers", database, jobs, LinuxMounts(jobs), Limits())
    blob = os.open(root + "/layer.tar", os.O_RDONLY)
    parent = None
    for name in ("base", "top"):
        await layers.prepare("extract-" + name, parent)
        await layers.commit("extract-" + name, name, await layers.apply("extract-" + name, blob, "none"))
        parent = name
    await layers.remove("top")
    await database.close()
    await jobs.close()

asyncio.run(main(sys.argv[1]))
"""


def live(root: Path, **environment: str) -> int:
    return subprocess.run(
        [sys.executable, "-c", LIFE, root],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, timeout=50,
    ).returncode  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "layer.tar").write_bytes(tar([folder("d"), file("d/a", b"1" * 100_000), file("d/.wh.b")]))
    return tmp_path


def test_these_are_all_the_points(root: Path) -> None:
    assert live(root, JACKSTAY_FAULT_TRACE=str(root / "trace")) == 0
    reached = {each for each in (root / "trace").read_text().split() if "layers." in each}
    assert reached == set(POINTS)
    assert not any("trace" in name for name in os.listdir(root / "layers/snapshots/1/fs"))


@pytest.mark.parametrize("point", POINTS)
async def test_a_cut(point: str, root: Path, jobs: Spawner, mounts: Mounts) -> None:
    assert live(root, JACKSTAY_FAULT=point) == -signal.SIGKILL
    database = await Database.open(str(root / "jackstay.db"))
    try:
        layers = OverlaySnapshotter(str(root / "layers"), database, jobs, mounts, Limits())
        await layers.clean()
        found = await database.read(lambda c: {row["id"]: row["key"] for row in c.execute("SELECT * FROM snapshots")})
        assert sorted(os.listdir(root / "layers/snapshots")) == sorted(str(number) for number in found)
        assert set(found.values()) <= {"base", "top"}
        for number in found:
            assert (root / f"layers/snapshots/{number}/fs/d/a").stat().st_size == 100_000
        descriptor = blob((root / "layer.tar").read_bytes())
        await layers.prepare("extract-base", None)
        await layers.commit("extract-base", "base", await layers.apply("extract-base", descriptor, "none"))
        os.close(descriptor)
        assert (await layers.stat("base")).kind == "committed"
    finally:
        await database.close()
