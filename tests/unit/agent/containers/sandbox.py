"""Runs a command in namespaces of its own, so that containers of a test touch nothing of the machine's.

    python sandbox.py -- COMMAND…

The command gets a mount, process, network and cgroup namespace. When it ends, every process in them is killed and the
cgroups are removed, also when it fails. Where a hybrid machine leaves a controller to cgroup v2, crun 1.8 refuses to
work; that controller is then mounted as v1 inside the sandbox.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path("/sys/fs/cgroup")


def main() -> int:
    if sys.argv[1] == "--":
        again = ["unshare", "--mount", "--propagation", "private", sys.executable, __file__, "outer", *sys.argv[2:]]
        os.execvp("unshare", again)
    if sys.argv[1] == "outer":
        return outer(sys.argv[2:])
    return inner(sys.argv[2:])


def outer(command: list[str]) -> int:
    """Own cgroups, and their removal."""
    name = f"jackstay-test-{os.getpid()}-{time.time_ns()}"
    hybrid = not (TOP / "cgroup.controllers").exists()
    mounted = gather() if hybrid else [(TOP, "")]
    groups = [enter(path, controllers, name) for path, controllers in mounted]
    child = subprocess.Popen(
        [
            *("unshare", "--mount", "--pid", "--net", "--cgroup", "--fork", "--kill-child", "--mount-proc"),
            *("--propagation", "private", sys.executable, __file__, "inner", *command),
        ]
    )
    signal.signal(signal.SIGTERM, lambda *_: child.kill())  # the namespace's init goes with it, and all the others
    try:
        return child.wait()
    finally:
        for group in groups:
            thaw(group)
        for path, group in zip([path for path, _ in mounted], groups, strict=True):
            (path / "cgroup.procs").write_text(str(os.getpid()))
            remove(group)


def inner(command: list[str]) -> int:
    """The cgroup mounts again, as this namespace sees them; then the command, with this process as its init."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    for _source, where, kind, options, *_ in mounts:
        if kind in ("cgroup", "cgroup2"):
            kept = [
                option for option in options.split(",") if option not in ("rw", "relatime", "nosuid", "nodev", "noexec")
            ]
            subprocess.run(["umount", where], check=True)
            subprocess.run(
                ["mount", "-t", kind, *(["-o", ",".join(kept)] if kept else []), "cgroup", where], check=True
            )
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    child = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            thaw(TOP)
            return os.waitstatus_to_exitcode(status)


def gather() -> list[tuple[Path, str]]:
    """A private /sys/fs/cgroup with every hierarchy, those too that nobody has mounted."""
    new = Path(tempfile.mkdtemp(prefix="jackstay-cgroup-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "cgroup", str(new)], check=True)
    found: list[tuple[Path, str]] = []
    for line in Path("/proc/mounts").read_text().splitlines():
        _source, where, kind, options, *_ = line.split()
        if kind in ("cgroup", "cgroup2") and Path(where).parent == TOP:
            (new / Path(where).name).mkdir()
            subprocess.run(["mount", "--bind", where, str(new / Path(where).name)], check=True)
            found.append((TOP / Path(where).name, options if kind == "cgroup" else ""))
    known = {option for _, options in found for option in options.split(",")}
    for line in Path("/proc/cgroups").read_text().splitlines()[1:]:
        controller, _hierarchy, _groups, enabled = line.split()
        if controller not in known and enabled == "1" and controller not in ("perf_event", "net_cls", "net_prio"):
            (new / controller).mkdir()
            subprocess.run(["mount", "-t", "cgroup", "-o", controller, "cgroup", str(new / controller)], check=True)
            found.append((TOP / controller, controller))
    subprocess.run(["mount", "--move", str(new), str(TOP)], check=True)
    new.rmdir()
    return found


def enter(path: Path, controllers: str, name: str) -> Path:
    """Make the cgroup *name* in the hierarchy at *path* and go into it."""
    group = path / name
    group.mkdir()
    if "cpuset" in controllers.split(","):
        for file in ("cpuset.cpus", "cpuset.mems"):
            (group / file).write_text((path / file).read_text())
    (group / "cgroup.procs").write_text(str(os.getpid()))
    return group


def thaw(group: Path) -> None:
    """Let every process in *group* and below go on: one that a test left frozen could not even be killed."""
    for folder, _, files in os.walk(group):
        for name, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            if name in files:
                with contextlib.suppress(OSError):
                    Path(folder, name).write_text(value)


def remove(group: Path) -> None:
    """Remove *group* and all below it, as soon as their processes are gone."""
    for folder, _, _ in os.walk(group, topdown=False):
        for _attempt in range(100):
            try:
                os.rmdir(folder)
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
