"""Where things are measured: two hosts of the lab, a laptop, and a folder with room; all on tmpfs where memory allows.

A tmpfs takes the disk's noise away. Its pages belong to nobody's memory as `sampler` counts it, as the page cache's do
not. On the disk it is an ext4 of its own in a file, with a journal: the disk's own filesystem may be anything, and ext4
without a journal takes twenty times as long to make a file for some minutes after as many were deleted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.lab.host import Host
from tests.lab.lab import HOST_PATH, Lab
from tests.lab.laptop import JACKSTAY, Laptop

MEMORY = Path("/dev/shm")


class Scene:
    """Two hosts with room for ``size`` bytes each, thrice, and a folder with as much."""

    def __init__(self, lab: Lab, folder: Path, on: str) -> None:
        self.lab = lab
        self.laptop = Laptop(lab, cold=True)
        self.folder = folder
        self.on = on
        """What holds it all: ``tmpfs`` or ``disk``."""
        self.one, self.two = lab.hosts["web1"], lab.hosts["web2"]

    def on_host(self, host: Host, *argv: str | Path) -> None:
        """Run ``jackstay -H local ARGV`` on a host, without SSH. Raises :class:`AssertionError` when it fails."""
        environment = {"PATH": HOST_PATH, "HOME": str(self.lab.dir), "LANG": "C.UTF-8"}
        ran = host.exec([JACKSTAY, "-H", "local", *map(str, argv)], timeout=300, env=environment)
        assert ran.returncode == 0, ran

    def forget(self, host: Host) -> None:
        """Take every image off a host, and the leases of copies that could still hold their blobs."""
        names = self.laptop.ok("-H", host.name, "images", "-q").lines
        if names:
            self.laptop.ok("-H", host.name, "rmi", "-f", *dict.fromkeys(names))
        host.agent.stop()
        host.agent.start()
        left = [path for path in host.path("/var/lib/jackstay/content/blobs").rglob("*") if path.is_file()]
        assert not left, left


@contextmanager
def scene(size: int, hosts: int = 2, *, disk: bool = False) -> Iterator[Scene]:
    """Everything, from nothing to nothing; with ``disk``, on the disk in any case."""
    room = (3 * hosts + 3) * size
    on, base = ("disk", Path(tempfile.gettempdir())) if disk else place(room)
    folder = Path(tempfile.mkdtemp(prefix="jackstay-bench-", dir=base))
    try:
        if on == "tmpfs":
            with Lab(hosts, state_size=f"{3 * size // (1 << 20) + 64}m") as lab:
                yield Scene(lab, folder, on)
        else:
            with ext4(folder, room), Lab(hosts, folder / "lab") as lab:
                yield Scene(lab, folder, on)
    finally:
        shutil.rmtree(folder)


@contextmanager
def ext4(folder: Path, room: int) -> Iterator[None]:
    """At ``folder``: an ext4 with a journal and room for so many bytes, in a sparse file that is cached once."""
    image = folder.with_name(f"{folder.name}.ext4")
    with image.open("xb") as file:
        file.truncate(room + (2 << 30))
    try:
        made_at_once = "lazy_itable_init=0,lazy_journal_init=0"  # else the kernel goes on making it while we measure
        subprocess.run(["mkfs.ext4", "-q", "-E", made_at_once, image], check=True)
        loop = ["losetup", "--find", "--show", "--direct-io=on", image]
        device = subprocess.run(loop, check=True, capture_output=True, text=True).stdout.strip()
        try:
            subprocess.run(["mount", device, folder], check=True)
            try:
                yield
            finally:
                subprocess.run(["umount", folder], check=True)
        finally:
            subprocess.run(["losetup", "--detach", device], check=True)
    finally:
        image.unlink()


def place(size: int) -> tuple[str, Path]:
    """``tmpfs`` or ``disk``, and a folder there with room for ``size`` bytes."""
    available = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemAvailable:")
    )
    free = os.statvfs(MEMORY)
    if available > 2 * size and free.f_bavail * free.f_frsize > size:
        return "tmpfs", MEMORY
    return "disk", Path(tempfile.gettempdir())


def start(scene: Scene, argv: Sequence[str | Path]) -> subprocess.Popen[bytes]:
    """Start ``jackstay ARGV`` on the laptop, silent unless it fails."""
    return subprocess.Popen(
        [JACKSTAY, *map(str, argv)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=scene.laptop.environment,
    )
