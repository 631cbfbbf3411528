"""Where the kernel keeps account of a container: the folders of its cgroup, and who is in it.

With cgroups v2 that is one folder, with v1 one in each controller's tree. Which it is, is found as the OCI runtimes do
it. Blocking; call it in a thread.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from jackstay_agent.containers.creating import CGROUP

ROOT = "/sys/fs/cgroup"
_WITH_PROCESSES = ("devices", "pids", "memory", "cpu", "systemd", "unified")


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The cgroup of one container. `root` is where the file systems of cgroups are mounted."""

    container: str
    root: str = ROOT

    @property
    def v2(self) -> bool:
        """Whether the controllers are those of v2. A hybrid host, which has both, has them in v1."""
        return os.path.exists(os.path.join(self.root, "cgroup.controllers"))

    def folder(self, controller: str) -> str:
        """Its folder in the tree of *controller*, whether it exists or not."""
        below = f"{CGROUP.strip('/')}/{self.container}"
        return os.path.join(self.root, below) if self.v2 else os.path.join(self.root, controller, below)

    def read(self, controller: str, name: str) -> str:
        """The text of its file *name*; "" when there is none, as where the kernel lacks the controller."""
        try:
            with open(os.path.join(self.folder(controller), name), encoding="ascii", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def pids(self) -> list[int]:
        """Who is in it, or in one that the container has made below, as the agent sees them. Ascending."""
        for controller in _WITH_PROCESSES:
            folder = self.folder(controller)
            if os.path.isdir(folder):
                return sorted({pid for below, _, _ in os.walk(folder) for pid in _pids(below)} - {0})
        return []


def _pids(folder: str) -> list[int]:
    try:
        with open(os.path.join(folder, "cgroup.procs"), encoding="ascii") as file:
            return [int(line) for line in file]
    except OSError:
        return []  # it was removed meanwhile, or is one of threads
