"""Which process a pid means: a pid with the time its process started, since pids are used again.

Blocking reads of ``/proc``; call them in a thread.
"""

from __future__ import annotations

import os


def started(pid: int) -> int:
    """When the process *pid* started, in clock ticks since boot (proc(5), stat field 22); 0 when it is gone or dead."""
    if pid <= 0:
        return 0
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def is_alive(pid: int, start: int) -> bool:
    """Whether the process that had *pid* and started at *start* still runs."""
    return start > 0 and started(pid) == start


def open_alive(pid: int, start: int) -> int | None:
    """A pidfd of that process; None when it is gone."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return None
    if is_alive(pid, start):
        return descriptor
    os.close(descriptor)
    return None


def read_pid(path: str) -> int:
    """The pid in a pid file; 0 when it has none."""
    try:
        with open(path, "rb") as file:
            return int(file.read(32) or b"0")
    except (OSError, ValueError):
        return 0
