"""Which storage driver an agent uses, and why.

Guarantees: layers that are there are used with the driver that made them, or the agent does not start; a driver is used
only after a trial of it in the very folder. The choice is written down beside the layers. See docs/adr/0010.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from jackstay_agent import faults
from jackstay_agent.config import Limits
from jackstay_agent.errors import Unsupported, WrongState, from_os_error
from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.threads import finish
from jackstay_agent.layers.btrfs import BtrfsSnapshotter
from jackstay_agent.layers.folder_snapshotter import FolderSnapshotter
from jackstay_agent.layers.overlay import OverlaySnapshotter
from jackstay_agent.layers.snapshotter import Snapshotter
from jackstay_agent.layers.vfs import VfsSnapshotter
from jackstay_agent.metadata import snapshots as rows
from jackstay_agent.metadata.database import Database

DRIVERS: dict[str, type[FolderSnapshotter]] = {
    driver.name: driver for driver in (OverlaySnapshotter, BtrfsSnapshotter, VfsSnapshotter)
}
"""The drivers by name, the preferred ones first."""

_RECORD = "driver"
_FIRST = "overlay"  # what made the layers beside which nothing is written down


@dataclass(frozen=True, slots=True)
class Choice:
    """The driver that is used. *refused* has the name of each one before it that does not work here, and why."""

    driver: str
    filesystem: str
    because: str
    refused: tuple[tuple[str, str], ...] = ()

    def status(self) -> list[list[str]]:
        """As docker's ``DriverStatus`` has it: names and values."""
        return [
            ["Backing Filesystem", self.filesystem],
            ["Chosen because", self.because],
            *([f"Not {driver} because", why] for driver, why in self.refused),
        ]


async def choose(root: str, wanted: str, database: Database, jobs: Jobs) -> Choice:
    """Choose the driver for the folder *root*, which is made; *wanted* is the configured one, or empty.

    Raises `WrongState` when the layers there are another driver's, `Unsupported` when the driver that it must be does
    not work.
    """
    recorded = await finish(_recorded, root)
    made = (recorded or _FIRST) if await database.read(rows.any_kept) else ""
    if made and wanted not in ("", made):
        raise WrongState(
            f"the configuration says storage_driver = {wanted!r}, and the layers of this host were made with {made}",
            hint=f"set it to {made!r}; to change it, remove all containers and images first",
        )
    filesystem = await jobs.run("jackstay_agent.layers.trials:backing", root)
    refused = []
    for driver in [made or wanted] if made or wanted else DRIVERS:
        why = await jobs.run(f"jackstay_agent.layers.trials:try_{driver}", root)
        if not why:
            break
        refused.append((driver, why))
    else:
        raise Unsupported(f"storage driver {made or wanted} does not work in {root}: {refused[0][1]}", hint=_hint(made))
    if made:
        because = "the layers that are here were made with it"
    elif wanted:
        because = f"storage_driver = {wanted!r} is configured"
    else:
        because = "it works here and is the first choice" if not refused else "it is the first that works here"
    await finish(_record, root, driver)
    return Choice(driver, filesystem, because, tuple(refused))


def build(choice: Choice, root: str, database: Database, jobs: Jobs, mounts: Mounts, limits: Limits) -> Snapshotter:
    """The snapshotter that was chosen."""
    return DRIVERS[choice.driver](root, database, jobs, mounts, limits)


def _hint(made: str) -> str:
    if made:
        return "the layers here need it: move the folder back to the filesystem that it was made on"
    return "leave storage_driver out of the configuration, and the agent takes what works"


def _recorded(root: str) -> str:
    try:
        os.makedirs(root, mode=0o700, exist_ok=True)
        with open(os.path.join(root, _RECORD), encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise from_os_error(error, f"reading {root}/{_RECORD}") from error


def _record(root: str, driver: str) -> None:
    if _recorded(root) == driver:
        return
    path = os.path.join(root, _RECORD)
    try:
        with open(f"{path}.new", "w", encoding="ascii") as file:
            file.write(driver + "\n")
            file.flush()
            os.fsync(file.fileno())
        faults.point("layers.driver.written")
        os.rename(f"{path}.new", path)
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        faults.point("layers.driver.recorded")
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(f"{path}.new")
        raise from_os_error(error, f"writing {path}") from error
