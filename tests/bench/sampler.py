"""Samples how much memory process trees take, from outside: ``python -I -S sampler.py SECONDS PID…``.

A tree is a process and all that descend from it; conmon and what it watches are not counted, since they belong to
containers and outlive the agent. Prints one JSON line when it has taken its first sample, and one with what it saw when
its standard input ends. Standard library only, so that it starts quickly and weighs little.

What is counted, in bytes: ``pss``, the kernel's proportional set size; and ``alone``, what the same would be at most on
a host where nothing else runs the same programs: anonymous and shared memory as in ``pss``, but every mapped page of a
file in full, even where several processes of the tree map it. Neighbours flatter ``pss``; nothing flatters ``alone``.
The peak of each is its own; the rest of a peak is of the sample in which ``alone`` was most.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from typing import Any

NOT_COUNTED = ("conmon",)


def descendants(root: int) -> list[int]:
    """The process and all below it, as far as they are counted."""
    found: list[int] = []
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        try:
            if pid != root and _read(f"/proc/{pid}/comm").strip() in NOT_COUNTED:
                continue
            found.append(pid)
            for thread in os.listdir(f"/proc/{pid}/task"):  # a child hangs on the thread that made it
                waiting += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
        except OSError:
            continue
    return found


def memory(pid: int) -> dict[str, int]:
    """What one process takes now. Raises :class:`OSError` when it has ended."""
    rollup = _fields(f"/proc/{pid}/smaps_rollup")
    files = _fields(f"/proc/{pid}/status")["RssFile"]
    return {
        "pss": rollup["Pss"],
        "anonymous": rollup["Pss_Anon"],
        "shared": rollup["Pss_Shmem"],
        "files": rollup["Pss_File"],
        "alone": rollup["Pss_Anon"] + rollup["Pss_Shmem"] + files,
    }


def sample(root: int) -> dict[str, Any]:
    """One tree now: the sums, and by process."""
    processes = []
    for pid in descendants(root):
        try:
            processes.append({"pid": pid, **memory(pid)})
        except (OSError, KeyError):  # ended meanwhile
            continue
    sums = {key: sum(each[key] for each in processes) for key in ("pss", "anonymous", "shared", "files", "alone")}
    return {**sums, "processes": processes}


def _fields(path: str) -> dict[str, int]:
    values = {}
    for line in _read(path).splitlines():
        name, _, rest = line.partition(":")
        if rest.endswith(" kB"):
            values[name] = int(rest.split()[0]) * 1024
    return values


def _read(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 1 << 16).decode(errors="replace")
    finally:
        os.close(descriptor)


def main() -> None:
    interval = float(sys.argv[1])
    roots = [int(text) for text in sys.argv[2:]]
    first = [sample(root) for root in roots]
    peaks, counts, gap = [dict(each) for each in first], 1, 0.0
    print(json.dumps(first), flush=True)
    last = time.monotonic()
    while not select.select([0], [], [], interval)[0]:
        for index, root in enumerate(roots):
            now = sample(root)
            most = max(now["pss"], peaks[index]["pss"])
            if now["alone"] > peaks[index]["alone"]:
                peaks[index] = now
            peaks[index]["pss"] = most
        counts += 1
        gap, last = max(gap, time.monotonic() - last), time.monotonic()
    print(json.dumps({"peaks": peaks, "samples": counts, "longest_gap": gap}), flush=True)


if __name__ == "__main__":
    main()
