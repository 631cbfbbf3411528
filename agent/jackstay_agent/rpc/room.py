"""How much room a host has: what `System.Info` tells beside docker's fields, for ``run --on N``. Blocking."""

from __future__ import annotations

import os

_MEMORY = "/proc/meminfo"


def measure(state: str) -> dict[str, int]:
    """Bytes of memory that processes can still have, and of disk where the folder *state* is."""
    disk = os.statvfs(state)
    with open(_MEMORY, encoding="ascii") as file:
        return {"MemAvailable": available(file.read()), "DiskAvailable": disk.f_bavail * disk.f_frsize}


def available(meminfo: str) -> int:
    """The bytes that *meminfo*, the text of ``/proc/meminfo`` (proc(5)), calls available; 0 when it tells none."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0
