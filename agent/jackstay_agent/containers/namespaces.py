"""``--pid``, ``--ipc``, ``--uts``: which kernel namespaces a container has of its own, and which are the host's. Pure.

The modes are docker's, but for those of another container, which are refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from jackstay_agent.containers.settings import Settings
from jackstay_agent.errors import InvalidArgument

_MODES = {"pid": ("", "host"), "uts": ("", "host"), "ipc": ("", "private", "none", "host")}


@dataclass(frozen=True, slots=True)
class Shared:
    """What of the host's a container sees. `shm` is whether it has a ``/dev/shm`` at all."""

    pid: bool = False
    ipc: bool = False
    uts: bool = False
    shm: bool = True

    @property
    def own(self) -> tuple[str, ...]:
        """The types of the namespaces that are made for it, but for network and cgroup."""
        shared = {"pid": self.pid, "ipc": self.ipc, "uts": self.uts}
        return tuple(kind for kind in ("pid", "ipc", "uts", "mount") if not shared.get(kind))


def parse(settings: Settings) -> Shared:
    """What *settings* ask for.

    Raises:
        InvalidArgument: a mode that does not exist.
    """
    given = {"pid": settings.pid, "ipc": settings.ipc, "uts": settings.uts}
    for flag, mode in given.items():
        if mode not in _MODES[flag]:
            modes = ", ".join(filter(None, _MODES[flag]))
            raise InvalidArgument(f"--{flag}: invalid mode {mode[:60]!r}", hint=f"give {modes}, or leave it out")
    return Shared(
        pid=settings.pid == "host", ipc=settings.ipc == "host", uts=settings.uts == "host", shm=settings.ipc != "none"
    )
