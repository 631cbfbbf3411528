"""The storage drivers, and for each a folder of the kind that it needs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jackstay_agent.kernel import syscalls
from jackstay_agent.layers.btrfs import BtrfsSnapshotter
from jackstay_agent.layers.folder_snapshotter import FolderSnapshotter
from jackstay_agent.layers.overlay import OverlaySnapshotter
from jackstay_agent.layers.vfs import VfsSnapshotter

DRIVERS: dict[str, type[FolderSnapshotter]] = {
    "overlay": OverlaySnapshotter,
    "btrfs": BtrfsSnapshotter,
    "vfs": VfsSnapshotter,
}


@contextmanager
def root_for(driver: str, root: Path) -> Iterator[Path]:
    """The folder *root*, made; for ``btrfs`` a new filesystem is mounted there."""
    root.mkdir()
    if driver != "btrfs":
        yield root
        return
    with new_filesystem("btrfs", root):
        yield root


@contextmanager
def new_filesystem(kind: str, at: Path, size: int = 320 << 20) -> Iterator[None]:
    """A new filesystem of *size* bytes in a file beside *at*, mounted there. The loop device goes with the mount."""
    image = at.with_name(at.name + ".image")
    with open(image, "wb") as file:
        file.truncate(size)
    subprocess.run([f"mkfs.{kind}", "-q", str(image)], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["mount", "-o", "loop", str(image), str(at)], check=True)
    try:
        yield
    finally:
        with suppress(OSError):  # the fixture ``mounts`` may have done it
            syscalls.umount(str(at), syscalls.MNT_DETACH)
        os.unlink(image)
