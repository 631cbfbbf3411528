"""What the host can do for containers, read from ``/proc``, ``/sys`` and ``/dev``: the input of the pure `spec`.

Guarantees that reading never fails for want of a file: what cannot be read is absent. Blocking; call it in a thread.
"""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from jackstay_agent.containers import capabilities, cpuset, rlimits

UNLIMITED = -1

_INITS = (
    "/usr/bin/catatonit",
    "/usr/libexec/podman/catatonit",
    "/usr/libexec/catatonit/catatonit",
    "/usr/bin/docker-init",
    "/usr/libexec/docker/docker-init",
    "/usr/bin/tini-static",
)
"""Statically linked init programs, which run in an image of any C library. Plain tini is not one."""

_DEVICE_FOLDERS_SKIPPED = {"pts", "shm", "mqueue", "fd", "hugepages", "lxc", "lxd-mounts", ".udev"}


@dataclass(frozen=True, slots=True)
class Device:
    """A device node: `type` "c" or "b"."""

    path: str
    type: str
    major: int
    minor: int
    mode: int  # permission bits
    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """One host. `rlimits` are the agent's own hard limits by name, -1 for none: no container can have more."""

    machine: str  # "x86_64", "aarch64"
    cgroup_v2: bool
    swap_limit: bool  # the kernel can bound swap
    cpus: frozenset[int]  # that are online
    mems: frozenset[int] = frozenset({0})  # memory nodes that are
    blkio_weight: bool = True  # the kernel can weigh block devices' users
    capabilities: frozenset[str]  # in the agent's bounding set
    rlimits: dict[str, int] = field(default_factory=dict)
    devices: tuple[Device, ...] = ()  # those a privileged container gets
    init: str = ""  # path of a static init program, "" for none
    apparmor: bool = False
    selinux: bool = False


def read() -> HostFacts:
    """The facts of this host, now."""
    v2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    return HostFacts(
        machine=os.uname().machine,
        cgroup_v2=v2,
        swap_limit=_swap_limit(v2),
        cpus=cpuset.parse(_text("/sys/devices/system/cpu/online") or f"0-{(os.cpu_count() or 1) - 1}"),
        mems=cpuset.parse(_text("/sys/devices/system/node/online") or "0"),
        blkio_weight=_blkio_weight(v2),
        capabilities=capabilities.from_mask(_bounding_mask()),
        rlimits={f"RLIMIT_{name.upper()}": _hard(number) for name, number in rlimits.NUMBERS.items()},
        devices=tuple(_devices("/dev")),
        init=next((path for path in _INITS if os.access(path, os.X_OK)), ""),
        apparmor=_text("/sys/module/apparmor/parameters/enabled") == "Y",
        selinux=os.path.exists("/sys/fs/selinux/enforce"),
    )


def _swap_limit(v2: bool) -> bool:
    if not v2:
        return os.path.exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")
    # The root group has no memory.swap.max; any other has it when the kernel counts swap.
    with_controller = (f"/sys/fs/cgroup/{line.strip('/')}" for line in ("init.scope", "system.slice"))
    found = [folder for folder in with_controller if os.path.exists(f"{folder}/memory.max")]
    return not found or any(os.path.exists(f"{folder}/memory.swap.max") for folder in found)


def _blkio_weight(v2: bool) -> bool:
    # The root group has no weight, any other with the controller has it when the kernel can weigh. The weight of bfq in
    # v1 counts for nothing: crun does not know it.
    folder, member = ("/sys/fs/cgroup", "io.max") if v2 else ("/sys/fs/cgroup/blkio", "cgroup.procs")
    names = ("io.weight", "io.bfq.weight") if v2 else ("blkio.weight",)
    try:
        groups = [entry.path for entry in os.scandir(folder) if os.path.exists(f"{entry.path}/{member}")]
    except OSError:
        return v2
    return (v2 and not groups) or any(os.path.exists(f"{group}/{name}") for group in groups for name in names)


def _bounding_mask() -> int:
    for line in _text("/proc/self/status").splitlines():
        if line.startswith("CapBnd:"):
            return int(line.split()[1], 16)
    return 0


def _hard(number: int) -> int:
    hard = resource.getrlimit(number)[1]
    return UNLIMITED if hard == resource.RLIM_INFINITY else hard


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def devices_at(path: str) -> list[Device]:
    """The device that *path* is, through symbolic links too, or those below the folder that it is; [] for neither.

    Raises:
        OSError: it cannot be looked at.
    """
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        return list(_devices(path))
    if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        return [_device(path, status)]
    return []


def _devices(folder: str) -> Iterator[Device]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISDIR(status.st_mode):
            if entry.name not in _DEVICE_FOLDERS_SKIPPED:
                yield from _devices(entry.path)
        elif entry.name not in ("console", "ptmx") and (stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)):
            yield _device(entry.path, status)


def _device(path: str, status: os.stat_result) -> Device:
    return Device(
        path=path,
        type="c" if stat.S_ISCHR(status.st_mode) else "b",
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
    )
