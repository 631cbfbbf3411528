"""The mounts of a container in the order in which a runtime must make them. Pure.

Guarantees: a mount comes after every mount on a folder above it; one the user asked for takes the place of a default
one at the same target; nothing is mounted on ``/`` itself. Leaves to others: resolving sources, making them where
``-v`` allows it, and copying image files into volumes. Targets are resolved inside the root by the runtime.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jackstay_agent.containers.namespaces import Shared
from jackstay_agent.errors import InvalidArgument
from jackstay_oci.config_values import absolute

DEFAULT_SHM = 64 << 20
OWN = Shared()
PROPAGATIONS = ("private", "rprivate", "slave", "rslave", "shared", "rshared")

_OPPOSITES = (
    ("ro", "rw"),
    ("suid", "nosuid"),
    ("dev", "nodev"),
    ("exec", "noexec"),
    ("sync", "async"),
    ("dirsync", "nodirsync"),
    ("atime", "noatime"),
    ("diratime", "nodiratime"),
    ("relatime", "norelatime"),
    ("strictatime", "nostrictatime"),
)
_FLAGS = {flag: {pair[0], pair[1]} for pair in _OPPOSITES for flag in pair}
_VALUES = {
    "size": re.compile(r"\d{1,19}(?:[kmgKMG]|%)?", re.ASCII),
    "mode": re.compile(r"[0-7]{1,4}", re.ASCII),
    "uid": re.compile(r"\d{1,10}", re.ASCII),
    "gid": re.compile(r"\d{1,10}", re.ASCII),
    "nr_inodes": re.compile(r"\d{1,19}[kmgKMG]?", re.ASCII),
    "nr_blocks": re.compile(r"\d{1,19}[kmgKMG]?", re.ASCII),
}
"""What docker's mount.MergeTmpfsOptions takes, but for NUMA policies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedMount:
    """A bind or volume mount whose `source` is an absolute path on the host that exists."""

    source: str
    target: str
    read_only: bool = False
    propagation: str = "rprivate"
    folder: bool = True
    """Whether `source` is a folder, below which more may be mounted."""
    recursive: bool = True
    """Whether what is mounted below the source comes along."""
    as_is: bool = False
    """In a user namespace of the container's own: `source` has its owners there already, and is not shown mapped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryMount:
    """A file system in memory; `size` in bytes, 0 for the kernel's bound, `mode` None for what the runtime chooses."""

    target: str
    size: int = 0
    mode: int | None = None
    read_only: bool = False


def build(
    mounts: Sequence[ResolvedMount | MemoryMount],
    tmpfs: Sequence[str],
    files: Mapping[str, str],
    *,
    shm_size: int,
    writable_system: bool,
    read_only_root: bool,
    own_cgroup: bool,
    shared: Shared = OWN,
    shm: str = "",
) -> list[dict[str, Any]]:
    """The ``mounts`` of a runtime specification.

    Args:
        mounts: bind and volume mounts, and those in memory.
        tmpfs: ``--tmpfs`` texts, "/path[:options]".
        files: target to host path of the files that are the container's own: hosts, resolv.conf, hostname.
        shm_size: bytes of ``/dev/shm``, 0 for the default.
        writable_system: ``/sys`` and the cgroups may be written to, as in a privileged container.
        read_only_root: the files are then read-only too.
        own_cgroup: the container has a cgroup namespace of its own.
        shared: with the host's IPC namespace ``/dev/shm`` is the host's, as docker has it.
        shm: the host path of what is ``/dev/shm``, where it is not the container's alone.

    Raises:
        InvalidArgument: a target that is relative, the root, or there twice; a malformed tmpfs option or propagation.
    """
    asked: dict[str, dict[str, Any]] = {}
    for mount in mounts:
        _add(asked, _bind(mount) if isinstance(mount, ResolvedMount) else _memory(mount))
    for text in tmpfs:
        _add(asked, _tmpfs(text))
    for target, source in files.items():
        if target not in asked:
            options = ["rbind", "rprivate", *(["ro"] if read_only_root else [])]
            asked[target] = {"destination": target, "type": "bind", "source": source, "options": options}
    own_dev = "/dev" in asked
    kept = [
        mount
        for mount in _defaults(shm_size or DEFAULT_SHM, writable_system, own_cgroup, shared, shm)
        if mount["destination"] not in asked and not (own_dev and mount["destination"].startswith("/dev/"))
    ]
    # The sort is stable: the defaults keep their order, and come before what was asked for at the same depth.
    return sorted([*kept, *asked.values()], key=lambda mount: mount["destination"].count("/"))


def root_propagation(mounts: Iterable[ResolvedMount | MemoryMount]) -> str:
    """``linux.rootfsPropagation`` that *mounts* need, "" for the runtime's default."""
    kinds = {mount.propagation.removeprefix("r") for mount in mounts if isinstance(mount, ResolvedMount)}
    return "shared" if "shared" in kinds else "rslave" if "slave" in kinds else ""


def _defaults(shm_size: int, writable_system: bool, own_cgroup: bool, shared: Shared, shm: str) -> list[dict[str, Any]]:
    access = "rw" if writable_system else "ro"
    cgroup = ["nosuid", "noexec", "nodev", "relatime", access]
    rows = [
        ("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
        ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", access]),
        ("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        *_ipc(shm_size, shared, shm),
        ("/sys/fs/cgroup", "cgroup", "cgroup", cgroup if own_cgroup else [*cgroup, "rprivate"]),
    ]
    return [
        {"destination": target, "type": kind, "source": source, "options": options}
        for target, kind, source, options in rows
    ]


def _ipc(shm_size: int, shared: Shared, shm: str) -> list[tuple[str, str, str, list[str]]]:
    # A message queue file system shows the queues of the IPC namespace it is mounted in: the host needs none mounted.
    rows = [("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"])]
    if shared.ipc or shm:
        rows.append(("/dev/shm", "bind", shm or "/dev/shm", ["rbind", "rprivate", "nosuid", "noexec", "nodev"]))  # noqa: S108
    elif shared.shm:
        options = ["nosuid", "noexec", "nodev", "mode=1777", f"size={shm_size}"]
        rows.append(("/dev/shm", "tmpfs", "shm", options))  # noqa: S108
    return rows


def _add(asked: dict[str, dict[str, Any]], mount: dict[str, Any]) -> None:
    target = mount["destination"]
    if target == "/":
        raise InvalidArgument("invalid specification: destination can't be '/'")
    if target in asked:
        raise InvalidArgument(f"Duplicate mount point: {target}")
    asked[target] = mount


def _bind(mount: ResolvedMount) -> dict[str, Any]:
    if mount.propagation not in PROPAGATIONS:
        raise InvalidArgument(
            f"invalid propagation {mount.propagation[:40]!r}", hint=f"it is one of {', '.join(PROPAGATIONS)}"
        )
    if not mount.source.startswith("/"):
        raise InvalidArgument(f"invalid mount source {mount.source[:100]!r}: it must be an absolute path")
    # crun takes the "r" of a propagation for one of the bind.
    kind, propagation = (
        ("rbind", mount.propagation) if mount.recursive else ("bind", mount.propagation.removeprefix("r"))
    )
    options = [kind, propagation]
    if mount.read_only:
        # "ro" alone leaves what is mounted below the source writable. crun takes "rro" for folders only: for a file it
        # fails with "open mount target: Not a directory".
        options += ["ro", "rro"] if mount.folder and mount.recursive else ["ro"]
    else:
        options.append("rw")
    return {
        "destination": absolute(mount.target, "the mount path"),
        "type": "bind",
        "source": mount.source,
        "options": options,
    }


def _memory(mount: MemoryMount) -> dict[str, Any]:
    options = ["nosuid", "nodev", "noexec"]
    options += [f"size={mount.size}"] if mount.size else []
    options += [f"mode={mount.mode:o}"] if mount.mode is not None else []
    options += ["ro"] if mount.read_only else []
    target = absolute(mount.target, "the tmpfs path")
    return {"destination": target, "type": "tmpfs", "source": "tmpfs", "options": options}


def _tmpfs(text: str) -> dict[str, Any]:
    path, _colon, given = text.partition(":")
    options = ["nosuid", "nodev", "noexec"]
    for option in filter(None, given.split(",")):
        key, equals, value = option.partition("=")
        pattern = _VALUES.get(key)
        if not (option in _FLAGS or (equals and pattern is not None and pattern.fullmatch(value))):
            raise InvalidArgument(f"invalid tmpfs option {option[:40]!r}")
        replaced = _FLAGS.get(option, {key})
        options = [earlier for earlier in options if earlier.partition("=")[0] not in replaced]
        options.append(option)
    return {
        "destination": absolute(path, "the tmpfs path"),
        "type": "tmpfs",
        "source": "tmpfs",
        "options": options,
    }
