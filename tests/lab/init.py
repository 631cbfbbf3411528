"""The first process of a lab host: makes its namespaces and mounts, keeps them alive, reaps what is orphaned in it.

Run as ``python -I -S init.py CONFIG.json`` with nothing but the standard library. It writes ``init.json`` (pid and
start time, so that the lab never kills a stranger) before it makes anything else, and prints one line when the host
stands. A host lives exactly as long as this process: its process, network, mount and cgroup namespaces go with it, and
so do all processes, links and mounts in them. With a ``lifeline`` (a pipe whose other end the lab holds) it ends when
the lab's process does, however that ended.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x20000000, 0x40000000
SYSTEM_CGROUP = "system"  # a pure v2 host's own processes: processes and controllers cannot share a cgroup

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    hierarchies: list[dict[str, str]] = []
    if config["kind"] == "switch":
        _unshare(CLONE_NEWNET)
    else:
        _unshare(CLONE_NEWNS)
        _mount("--make-rprivate", "/")
        hierarchies = _join_cgroups(config)
        _unshare(CLONE_NEWCGROUP | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID)
    identity_written, tell = os.pipe()
    child = os.fork()
    if child:
        # Seen from here the child has its number in the machine's own process namespace.
        _write_identity(config, child, joins=[h["join"] for h in hierarchies])
        os.write(tell, b"\n")
        os._exit(0)
    os.read(identity_written, 1)
    os.close(identity_written)
    os.close(tell)
    if config["kind"] == "host":
        _dress(config, hierarchies)
    _detach(config)
    _keep(config)


def _write_identity(config: dict[str, Any], pid: int, joins: list[str]) -> None:
    start = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    path = Path(config["folder"], "init.json")
    path.with_suffix(".new").write_text(json.dumps({"pid": pid, "start": start, "joins": joins}))
    path.with_suffix(".new").replace(path)


def _detach(config: dict[str, Any]) -> None:
    """Tell the lab that the host stands, and let go of its terminal and of its standard output."""
    os.setsid()
    os.chdir("/")
    print("ready", flush=True)
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def _keep(config: dict[str, Any]) -> None:
    """Wait; note how each orphan ended in ``exits`` ("pid status"); leave when the lifeline breaks."""
    waking, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    poll = select.poll()
    poll.register(waking, select.POLLIN)
    if config["lifeline"] is not None:
        poll.register(config["lifeline"], select.POLLHUP)
    while True:
        for descriptor, event in poll.poll():
            if descriptor != waking and event & (select.POLLHUP | select.POLLERR):
                os._exit(0)
            if descriptor == waking:
                os.read(waking, 4096)
        _reap(Path(config["folder"], "exits"))


def _reap(exits: Path) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        with exits.open("a") as log:
            log.write(f"{pid} {os.waitstatus_to_exitcode(status)}\n")


# --- cgroups ---------------------------------------------------------------------------------------------------------


def _join_cgroups(config: dict[str, Any]) -> list[dict[str, str]]:
    """Make this host's cgroup in every hierarchy and enter it; what is returned says how to mount each anew.

    A hybrid machine whose v2 still owns controllers gets them as v1 hierarchies, visible to this host alone: crun 1.8
    refuses to run otherwise.
    """
    hierarchies: list[dict[str, str]] = []
    for where, kind, options in _cgroup_mounts():
        hierarchies.append(
            {"at": where, "name": os.path.relpath(where, "/sys/fs/cgroup"), "kind": kind, "options": options}
        )
    if len(hierarchies) > 1:
        for owner in [h for h in hierarchies if h["kind"] == "cgroup2"]:
            for controller in Path(owner["at"], "cgroup.controllers").read_text().split():
                at = Path(config["folder"], f"cgroup-{controller}")
                at.mkdir(exist_ok=True)
                _mount("-t", "cgroup", "-o", controller, "cgroup", str(at))
                hierarchies.append({"at": str(at), "name": controller, "kind": "cgroup", "options": controller})
    for hierarchy in hierarchies:
        cgroup = Path(hierarchy["at"])
        for part in (config["cgroup"], config["name"]):
            cgroup = _make_cgroup(cgroup, part)
        (cgroup / "cgroup.procs").write_text("0")
        pure = hierarchy["name"] == "."
        hierarchy["join"] = os.path.normpath(
            os.path.join("/sys/fs/cgroup", hierarchy["name"], SYSTEM_CGROUP if pure else ".", "cgroup.procs")
        )
    return hierarchies


def _cgroup_mounts() -> list[tuple[str, str, str]]:
    mounts = []
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, options = line.split()[:4]
        if kind in ("cgroup", "cgroup2") and where.startswith("/sys/fs/cgroup"):
            flags = {
                "rw",
                "ro",
                "nosuid",
                "nodev",
                "noexec",
                "relatime",
                "noatime",
                "seclabel",
                "nsdelegate",
                "memory_recursiveprot",
            }
            mounts.append((where, kind, ",".join(o for o in options.split(",") if o not in flags)))
    return mounts


def _make_cgroup(parent: Path, name: str) -> Path:
    cgroup = parent / name
    offered, enabled = parent / "cgroup.controllers", parent / "cgroup.subtree_control"
    if offered.exists():
        for controller in offered.read_text().split():
            if controller not in enabled.read_text().split():
                enabled.write_text(f"+{controller}")
    cgroup.mkdir(exist_ok=True)
    for setting in ("cpuset.cpus", "cpuset.mems"):  # a new v1 cpuset is empty and takes no process
        if (cgroup / setting).exists() and not offered.exists():
            (cgroup / setting).write_text((parent / setting).read_text())
    return cgroup


# --- mounts ----------------------------------------------------------------------------------------------------------


def _dress(config: dict[str, Any], hierarchies: list[dict[str, str]]) -> None:
    """Everything that is this host's own: name, processes, devices of its network, cgroups, /run, /etc, state."""
    _libc.sethostname(config["name"].encode(), len(config["name"]))
    _mount("-t", "proc", "proc", "/proc")
    _umount("/sys")
    _mount("-t", "sysfs", "sysfs", "/sys")
    if hierarchies and hierarchies[0]["name"] == ".":
        _mount("-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
        root = Path("/sys/fs/cgroup")
        (root / SYSTEM_CGROUP).mkdir(exist_ok=True)
        (root / SYSTEM_CGROUP / "cgroup.procs").write_text("0")
        for controller in (root / "cgroup.controllers").read_text().split():
            (root / "cgroup.subtree_control").write_text(f"+{controller}")
    else:
        _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/sys/fs/cgroup")
        for hierarchy in hierarchies:
            where = Path("/sys/fs/cgroup", hierarchy["name"])
            where.mkdir()
            options = hierarchy["options"]
            options = f"none,{options}" if options.startswith("name=") else options
            _mount("-t", hierarchy["kind"], *(["-o", options] if options else []), "cgroup", str(where))
            if not hierarchy["at"].startswith("/sys/"):
                _umount(hierarchy["at"])

    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    Path("/run/sshd").mkdir(mode=0o755)
    Path("/run/lock").mkdir(mode=0o1777)
    lower = Path("/run/lab")
    lower.mkdir(mode=0o700)
    # Folders that must exist only inside this host are made in a private layer over the machine's own.
    for top in ("/etc", "/var/lib"):
        upper, work = lower / f"upper{top.replace('/', '-')}", lower / f"work{top.replace('/', '-')}"
        upper.mkdir(mode=0o755)
        work.mkdir()
        _mount("-t", "overlay", "-o", f"lowerdir={top},upperdir={upper},workdir={work}", "overlay", top)
    Path("/etc/hostname").write_text(config["name"] + "\n")
    for private, place in (("etc", "/etc/jackstay"), ("state", "/var/lib/jackstay")):
        shutil.rmtree(place, ignore_errors=True)
        Path(place).mkdir(mode=0o700)
        if private == "state" and config["state_size"]:
            _mount("-t", "tmpfs", "-o", f"mode=700,size={config['state_size']}", "tmpfs", place)
        else:
            _mount("--bind", str(Path(config["folder"], private)), place)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _umount(tree: str) -> None:
    subprocess.run(["umount", "--recursive", "--lazy", tree], check=True)


def _unshare(flags: int) -> None:
    if _libc.unshare(flags) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"unshare: {os.strerror(error)}")


if __name__ == "__main__":
    main()
