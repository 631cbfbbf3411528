"""``--pid``, ``--ipc``, ``--uts``, ``--cgroupns``: which kernel namespaces a container has of its own, which are the
host's, and which another container's. Pure.

The modes are docker's. What is another container's is found at each start (`joining`).
"""

from __future__ import annotations

from dataclasses import dataclass

from jackstay_agent.containers.settings import Settings
from jackstay_agent.errors import InvalidArgument

CONTAINER = "container:"
"""What a mode that names another container begins with; its id follows once a container is created."""

_MODES = {
    "pid": ("", "host"),
    "uts": ("", "host"),
    "ipc": ("", "private", "shareable", "none", "host"),
    "cgroupns": ("", "private", "host"),
}
_JOINED = ("pid", "ipc")


@dataclass(frozen=True, slots=True)
class Shared:
    """What a container sees of the host's, or of another container's. `shm` is whether it has a ``/dev/shm`` at all."""

    pid: bool = False
    ipc: bool = False
    uts: bool = False
    shm: bool = True
    pid_of: str = ""  # the container whose processes it sees
    ipc_of: str = ""  # the container whose IPC namespace and ``/dev/shm`` it has
    net_of: str = ""  # the container whose network it has
    shareable: bool = False  # others may join its IPC namespace
    cgroup: bool | None = None  # the host's cgroup namespace; None: as is usual for the host's version of cgroups

    @property
    def own(self) -> tuple[str, ...]:
        """The types of the namespaces that are made for it, but for network and cgroup."""
        shared = {"pid": self.pid or self.pid_of, "ipc": self.ipc or self.ipc_of, "uts": self.uts}
        return tuple(kind for kind in ("pid", "ipc", "uts", "mount") if not shared.get(kind))

    def own_cgroup(self, *, cgroup_v2: bool) -> bool:
        """Whether it has a cgroup namespace of its own: by default where there are cgroups v2."""
        return cgroup_v2 if self.cgroup is None else not self.cgroup


def parse(settings: Settings) -> Shared:
    """What *settings* ask for.

    Raises:
        InvalidArgument: a mode that does not exist.
    """
    given = {"pid": settings.pid, "ipc": settings.ipc, "uts": settings.uts, "cgroupns": settings.cgroupns}
    for flag, mode in given.items():
        if mode in _MODES[flag] or (flag in _JOINED and other(mode)):
            continue
        modes = [*filter(None, _MODES[flag]), *([f"{CONTAINER}NAME"] if flag in _JOINED else [])]
        raise InvalidArgument(f"--{flag}: invalid mode {mode[:60]!r}", hint=f"give {', '.join(modes)}, or leave it out")
    return Shared(
        pid=settings.pid == "host",
        ipc=settings.ipc == "host",
        uts=settings.uts == "host",
        shm=settings.ipc != "none",
        pid_of=other(settings.pid),
        ipc_of=other(settings.ipc),
        net_of=other(settings.network),
        shareable=settings.ipc == "shareable",
        # The host's cgroups of v1 cannot be shown to a root that is none of the host's.
        cgroup=settings.cgroupns == "host"
        if settings.cgroupns
        else False
        if settings.userns.startswith("auto")
        else None,
    )


def others(settings: Settings) -> tuple[str, ...]:
    """The containers that must run before one with *settings* can start."""
    return tuple(dict.fromkeys(filter(None, map(other, (settings.pid, settings.ipc, settings.network)))))


def other(mode: str) -> str:
    """The container that *mode* names, "" for none."""
    return mode.removeprefix(CONTAINER) if mode.startswith(CONTAINER) else ""
