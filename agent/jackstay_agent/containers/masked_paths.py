"""What of ``/proc`` and ``/sys`` a container does not see, and what it may only read. Pure.

Docker's lists, and podman's ``mask=`` and ``unmask=``: a path that is asked to be masked is, also in a privileged
container; ``unmask=ALL`` is docker's ``systempaths=unconfined``.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

from jackstay_oci.config_values import absolute

MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_ALL = "ALL"


def is_about_them(key: str, value: str) -> bool:
    """Whether the security option *key* = *value* is one for `build`."""
    return (key == "systempaths" and value == "unconfined") or (key in ("mask", "unmask") and value != "")


def build(options: Iterable[tuple[str, str]], *, privileged: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The masked and the read-only paths of a container with *options*, of which the others are passed over.

    Raises:
        InvalidArgument: a path that is not absolute.
    """
    mask: list[str] = []
    unmask: list[str] = []
    open_all = privileged
    for key, value in options:
        if key == "systempaths" and value == "unconfined":
            open_all = True
        elif key == "mask":
            mask += [absolute(path, "the path to mask") for path in value.split(":")]
        elif key == "unmask" and value.upper() == _ALL:
            open_all = True
        elif key == "unmask":
            unmask += [absolute(path, "the path to unmask") for path in value.split(":")]

    def shut(paths: Iterable[str]) -> list[str]:
        if open_all:
            return []
        return [path for path in paths if not any(fnmatch.fnmatchcase(path, each) for each in unmask)]

    return tuple(dict.fromkeys([*shut(MASKED), *mask])), tuple(shut(READ_ONLY))
