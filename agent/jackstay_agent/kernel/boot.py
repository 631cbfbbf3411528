"""Which boot of the host this is."""

from __future__ import annotations


def boot_id() -> str:
    """The kernel's name for this boot: a UUID that no other boot has."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
