"""An agent killed at each fault point of its layers: afterwards every row has its files, and a retry succeeds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jackstay_agent.config import Limits
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.metadata.database import Database
from tests.unit.agent.layers.drivers import DRIVERS, root_for
from tests.unit.agent.layers.layer_tars import blob, file, folder, tar

ROOT = Path(__file__).parents[4]
SHARED = [
    f"{point}{when}"
    for point in (
        "metadata.layers.prepare",
        "metadata.layers.commit",
        "metadata.layers.write_out",
        "metadata.layers.remove",
    )
    for when in ("", ".committed")
] + [
    "layers.prepare.renamed",
    "layers.prepare.synced",
    "layers.lower.private",
    "layers.lower.mounted",
    "layers.write_out.synced",
    "layers.remove.renamed",
]
OWN = {
    "overlay": [],
    "btrfs": ["layers.btrfs.made", "layers.btrfs.sealed", "layers.btrfs.destroyed"],
    "vfs": ["layers.copy.written", "layers.copy.synced"],
}
LIFE = """
import asyncio, os, sys
from jackstay_agent.kernel import spawner
from jackstay_agent.daemon.jobs import MODULES
jobs = spawner.start(MODULES)
from jackstay_agent.config import Limits
from jackstay_agent.kernel.mounts import LinuxMounts
from jackstay_agent.layers.probing import DRIVERS
from jackstay_agent.metadata.database import Database

async def main(driver, root):
    database = await Database.open(root + "/jackstay.db")
    layers = DRIVERS[driver](root + "/layers", database, jobs, LinuxMounts(jobs), Limits())
    blob = os.open(root + "/layer.tar", os.O_RDONLY)
    parent = None
    for name in ("base", "top"):
        await layers.prepare("extract-" + name, parent)
        await layers.commit("extract-" + name, name, await layers.apply("extract-" + name, blob, "none"))
        parent = name
    await layers.write_out()
    await layers.prepare("container-1", "top")
    await layers.remove("container-1")
    await layers.remove("top")
    await database.close()
    await jobs.close()

asyncio.run(main(*sys.argv[1:]))
"""


def live(driver: str, root: Path, **environment: str) -> int:
    return subprocess.run(
        [sys.executable, "-c", LIFE, driver, root],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, timeout=50,
    ).returncode  # fmt: skip


@pytest.fixture
def root(driver: str, tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "layer.tar").write_bytes(tar([folder("d"), file("d/a", b"1" * 100_000), file("d/.wh.b")]))
    with root_for(driver, tmp_path / "layers"):
        yield tmp_path


@pytest.mark.parametrize("driver", DRIVERS)
def test_these_are_all_the_points(driver: str, root: Path) -> None:
    assert live(driver, root, JACKSTAY_FAULT_TRACE=str(root / "trace")) == 0
    reached = {each for each in (root / "trace").read_text().split() if "layers." in each}
    assert reached == {*SHARED, *OWN[driver]}
    assert not any("trace" in name for name in os.listdir(root / "layers/snapshots/1/fs"))


# What is common is cut with one driver; what another does in the same places is cut with that.
@pytest.mark.parametrize(
    ("driver", "point"),
    [
        *(("overlay", point) for point in SHARED),
        *((driver, point) for driver, points in OWN.items() for point in points),
        *(
            (driver, point)
            for driver in ("btrfs", "vfs")
            for point in ("layers.prepare.renamed", "layers.remove.renamed")
        ),
    ],
)
async def test_a_cut(driver: str, point: str, root: Path, jobs: Spawner, mounts: Mounts) -> None:
    assert live(driver, root, JACKSTAY_FAULT=point) == -signal.SIGKILL
    database = await Database.open(str(root / "jackstay.db"))
    try:
        layers = DRIVERS[driver](str(root / "layers"), database, jobs, mounts, Limits())
        await layers.clean()
        found = await database.read(lambda c: {row["id"]: row["key"] for row in c.execute("SELECT * FROM snapshots")})
        assert sorted(os.listdir(root / "layers/snapshots")) == sorted(str(number) for number in found)
        assert set(found.values()) <= {"base", "top", "container-1"}
        for number in (number for number, key in found.items() if key != "container-1" or driver != "overlay"):
            assert (root / f"layers/snapshots/{number}/fs/d/a").stat().st_size == 100_000
        descriptor = blob((root / "layer.tar").read_bytes())
        await layers.prepare("extract-base", None)
        await layers.commit("extract-base", "base", await layers.apply("extract-base", descriptor, "none"))
        os.close(descriptor)
        assert (await layers.stat("base")).kind == "committed"
    finally:
        await database.close()
