"""Which storage driver is chosen, and what is said of it. Root needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.config import Limits, load
from jackstay_agent.errors import InvalidArgument, Unsupported, WrongState
from jackstay_agent.kernel import syscalls
from jackstay_agent.kernel.fakes import RecordingJobs
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers import probing
from jackstay_agent.layers.overlay import OverlaySnapshotter
from jackstay_agent.metadata.database import Database
from tests.unit.agent.layers.drivers import root_for

TRIALS = "jackstay_agent.layers.trials"


def host_where(**refused: str) -> RecordingJobs:
    """Jobs of a host on which the named drivers do not work, each for a reason."""
    answers: dict[str, Any] = {
        f"{TRIALS}:try_{driver}": lambda _argument, driver=driver: refused.get(driver, "") for driver in probing.DRIVERS
    }
    return RecordingJobs({**answers, f"{TRIALS}:backing": lambda _argument: "extfs"})


def test_the_order_of_preference() -> None:
    assert list(probing.DRIVERS) == ["overlay", "btrfs", "vfs"]


async def test_the_first_that_works(tmp_path: Path, database: Database) -> None:
    root = str(tmp_path / "layers")
    chosen = await probing.choose(root, "", database, host_where())
    assert (chosen.driver, chosen.refused) == ("overlay", ())
    jobs = host_where(overlay="no trusted attributes", btrfs="not a btrfs")
    chosen = await probing.choose(root, "", database, jobs)
    assert chosen.driver == "vfs"
    assert chosen.status() == [
        ["Backing Filesystem", "extfs"],
        ["Chosen because", "it is the first that works here"],
        ["Not overlay because", "no trusted attributes"],
        ["Not btrfs because", "not a btrfs"],
    ]
    assert (tmp_path / "layers/driver").read_text() == "vfs\n"


async def test_the_configured_one_or_none(tmp_path: Path, database: Database) -> None:
    chosen = await probing.choose(str(tmp_path), "vfs", database, host_where())
    assert (chosen.driver, chosen.because) == ("vfs", "storage_driver = 'vfs' is configured")
    with pytest.raises(Unsupported, match=r"btrfs does not work in .*: not a btrfs"):
        await probing.choose(str(tmp_path), "btrfs", database, host_where(btrfs="not a btrfs"))


async def test_layers_stay_with_the_driver_that_made_them(
    tmp_path: Path, database: Database, mounts: Mounts, jobs: Spawner
) -> None:
    root = str(tmp_path / "layers")
    chosen = await probing.choose(root, "vfs", database, jobs)
    layers = probing.build(chosen, root, database, jobs, mounts, Limits())
    await layers.prepare("extract-1", None)
    assert (await probing.choose(root, "overlay", database, jobs)).driver == "overlay"  # nothing that stays
    assert (await probing.choose(root, "vfs", database, jobs)).driver == "vfs"
    await layers.prepare("container-1", None)
    chosen = await probing.choose(root, "", database, jobs)
    assert (chosen.driver, chosen.because) == ("vfs", "the layers that are here were made with it")
    with pytest.raises(WrongState, match="made with vfs") as refusal:
        await probing.choose(root, "overlay", database, jobs)
    assert "set it to 'vfs'" in (refusal.value.hint or "")
    with pytest.raises(Unsupported, match="vfs does not work"):
        await probing.choose(root, "", database, host_where(vfs="whatever"))
    await layers.remove("container-1")
    assert (await probing.choose(root, "", database, jobs)).driver == "overlay"


async def test_layers_with_nothing_written_down_are_overlays(
    tmp_path: Path, database: Database, mounts: Mounts, jobs: Spawner
) -> None:
    await OverlaySnapshotter(str(tmp_path), database, jobs, mounts, Limits()).prepare("container-1", None)
    with pytest.raises(WrongState, match="made with overlay"):
        await probing.choose(str(tmp_path), "vfs", database, jobs)


@pytest.mark.parametrize(("driver", "filesystem"), [("overlay", "extfs"), ("btrfs", "btrfs")])
async def test_trials_on_real_filesystems(
    tmp_path: Path, database: Database, jobs: Spawner, driver: str, filesystem: str
) -> None:
    with root_for(driver, tmp_path / "layers") as root:
        (root / "trial/left/over").mkdir(parents=True)
        chosen = await probing.choose(str(root), driver, database, jobs)
        assert (chosen.driver, chosen.filesystem) == (driver, filesystem)
        assert "trial" not in os.listdir(root)
        assert (await probing.choose(str(root), "", database, jobs)).driver == "overlay"


async def test_what_does_not_work_says_why(tmp_path: Path, database: Database, jobs: Spawner) -> None:
    """A filesystem without attributes, and one on an overlay, which cannot be the upper part of another."""
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    syscalls.mount("overlay", str(tmp_path / "merged"), "overlay", 0, options)
    try:
        chosen = await probing.choose(str(tmp_path / "merged"), "", database, jobs)
    finally:
        syscalls.umount(str(tmp_path / "merged"))
    assert (chosen.driver, chosen.filesystem) == ("vfs", "overlayfs")
    assert dict(chosen.refused)["overlay"]
    assert dict(chosen.refused)["btrfs"].endswith("is on overlayfs")


def test_only_drivers_can_be_configured(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('storage_driver = "devicemapper"\n')
    with pytest.raises(InvalidArgument, match=r"c\.toml.*devicemapper"):
        load(str(tmp_path / "c.toml"))
    (tmp_path / "c.toml").write_text('storage_driver = "btrfs"\n')
    assert load(str(tmp_path / "c.toml")).storage_driver == "btrfs"
