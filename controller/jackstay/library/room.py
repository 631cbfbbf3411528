"""``--on N``: which hosts have most room for one more container. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEAST_MEMORY = 256 << 20
"""Bytes available below which a host is full."""
LEAST_DISK = 1 << 30


def roomiest(infos: Mapping[str, Mapping[str, Any]], count: int) -> list[str]:
    """The *count* hosts of *infos* (name to its ``info``) with most room, the one with most first.

    A host that is short of memory or disk comes after all that are not. Then counts how many CPUs each of its running
    containers has, the new one included; then available memory, then disk, each by its order of magnitude, since both
    change from moment to moment; and last the name, so that the same figures always give the same hosts.
    """

    def key(name: str) -> tuple[bool, float, int, int, str]:
        info = infos[name]
        memory, disk = int(info.get("MemAvailable", 0)), int(info.get("DiskAvailable", 0))
        cpus = int(info.get("NCPU", 0)) / (int(info.get("ContainersRunning", 0)) + 1)
        full = memory < LEAST_MEMORY or disk < LEAST_DISK
        return full, -cpus, -memory.bit_length(), -disk.bit_length(), name

    return sorted(infos, key=key)[:count]
