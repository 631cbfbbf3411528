"""The removal of a lab's cgroups, also from hierarchies that only its hosts had mounted.

Run as a program of its own in a mount namespace of its own (``unshare --mount``): what it mounts nobody else sees.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def remove(name: str) -> None:
    """Remove the cgroup ``name`` and all below it, in every hierarchy. What is not there is removed already."""
    subprocess.run(["unshare", "--mount", sys.executable, "-I", "-S", __file__, name], check=True)


def _main(name: str) -> None:
    for top in _hierarchies():
        _remove_tree(top / name)


def _hierarchies() -> list[Path]:
    lines = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    mounted = [(Path(fields[1]), fields[2]) for fields in lines if fields[2] in ("cgroup", "cgroup2")]
    tops = [path for path, _ in mounted]
    names = {path.name for path in tops}
    # Controllers of a v1 hierarchy (its number is not 0) that is mounted nowhere here.
    for line in Path("/proc/cgroups").read_text().splitlines()[1:]:
        controller, hierarchy = line.split()[:2]
        if hierarchy != "0" and not any(controller in name.split(",") for name in names):
            top = Path(tempfile.mkdtemp(prefix="jackstay-lab-cgroup-"))
            try:
                subprocess.run(["mount", "-t", "cgroup", "-o", controller, "cgroup", str(top)], check=True)
                tops.append(top)
            except subprocess.CalledProcessError:
                top.rmdir()
    return tops


def _remove_tree(top: Path) -> None:
    for folder, _, _ in os.walk(top, topdown=False):
        deadline = time.monotonic() + 5
        while True:
            try:
                os.rmdir(folder)
                break
            except FileNotFoundError:
                break
            except OSError:  # a killed process leaves its cgroup a moment after it ended
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)


def _main_and_clean(name: str) -> None:
    try:
        _main(name)
    finally:
        for fields in (line.split() for line in Path("/proc/mounts").read_text().splitlines()):
            if "/jackstay-lab-cgroup-" in fields[1]:
                subprocess.run(["umount", fields[1]], check=True)
                os.rmdir(fields[1])


if __name__ == "__main__":
    _main_and_clean(sys.argv[1])
