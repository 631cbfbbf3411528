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
class Cgroups:
    """The cgroups of a host's containers. `root` is where their file systems are mounted; a hybrid host, which has both
    versions, has the controllers in v1."""

    root: str
    v2: bool

    @classmethod
    def of_host(cls, root: str = ROOT) -> Cgroups:
        """Those of this host."""
        return cls(root, os.path.exists(os.path.join(root, "cgroup.controllers")))

    def folder(self, container: str, controller: str) -> str:
        """The folder of *container* in the tree of *controller*, whether it exists or not."""
        below = f"{CGROUP.strip('/')}/{container}"
        return os.path.join(self.root, below) if self.v2 else os.path.join(self.root, controller, below)

    def exist(self, container: str) -> bool:
        """Whether *container* has any."""
        return any(os.path.isdir(self.folder(container, controller)) for controller in _WITH_PROCESSES)

    def read(self, container: str, controller: str, name: str) -> str:
        """The text of the file *name*; "" when there is none, as where the kernel lacks the controller."""
        try:
            with open(os.path.join(self.folder(container, controller), name), encoding="ascii") as file:
                return file.read()
        except OSError:
            return ""

    def pids(self, container: str) -> list[int]:
        """Who is in it, or in one that *container* has made below, as the agent sees them. Ascending."""
        for controller in _WITH_PROCESSES:
            folder = self.folder(container, controller)
            if os.path.isdir(folder):
                return sorted({pid for below, _, _ in os.walk(folder) for pid in _pids(below)} - {0})
        return []


def _pids(folder: str) -> list[int]:
    try:
        with open(os.path.join(folder, "cgroup.procs"), encoding="ascii") as file:
            return [int(line) for line in file]
    except OSError:
        return []  # it was removed meanwhile, or is one of threads
