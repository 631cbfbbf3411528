"""Where the files of containers are. Values only.

Below the run folder (gone after a reboot) is what a running container needs: its bundle, which only root may enter,
and the exit files of monitors. Below the state folder is what must last: its log.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one agent."""

    state: str
    run: str

    @property
    def bundles(self) -> str:
        """The folder of all bundles."""
        return os.path.join(self.run, "containers")

    @property
    def exits(self) -> str:
        """Where monitors leave a file named by the container, with its exit code."""
        return os.path.join(self.run, "exits")

    @property
    def runtime(self) -> str:
        """The OCI runtime's own folder (``--root``)."""
        return os.path.join(self.run, "runtime")

    @property
    def logs(self) -> str:
        """The folder of what lasts of all containers."""
        return os.path.join(self.state, "containers")

    @property
    def boot_id(self) -> str:
        """The file with the boot id of the agent's last start."""
        return os.path.join(self.state, "boot_id")

    def bundle(self, container: str) -> str:
        """The bundle of *container*: ``config.json``, pid files, control and attach sockets."""
        return os.path.join(self.bundles, container)

    def rootfs(self, container: str) -> str:
        """Where the root filesystem of *container* is mounted while it runs."""
        return os.path.join(self.bundle(container), "rootfs")

    def shm(self, container: str) -> str:
        """Where the ``/dev/shm`` of *container* is mounted that others may join, or that it has from another."""
        return os.path.join(self.bundle(container), "shm")

    def parts(self, container: str) -> str:
        """Where parts of volumes are mounted while *container* is being started."""
        return os.path.join(self.bundle(container), "parts")

    def secrets(self, container: str) -> str:
        """The files of *container*'s secrets."""
        return os.path.join(self.bundle(container), "secrets")

    def userns(self, container: str) -> str:
        """The user namespace of *container*, if it has one of its own."""
        return os.path.join(self.bundle(container), "userns")

    def mapped(self, container: str) -> str:
        """What such a *container* is started from, where its root may reach it: not in the agent's own folders."""
        return os.path.join(f"{self.run}-mapped", container)

    def persist(self, container: str) -> str:
        """conmon's persistent folder: its second exit file, and ``oom``."""
        return os.path.join(self.bundle(container), "persist")

    def pid_file(self, container: str) -> str:
        """The pid of the container's first process."""
        return os.path.join(self.bundle(container), "pidfile")

    def monitor_pid_file(self, container: str) -> str:
        """The pid of its conmon."""
        return os.path.join(self.bundle(container), "conmon.pid")

    def exit_file(self, container: str) -> str:
        """The exit code of *container* in decimal, once it ended."""
        return os.path.join(self.exits, container)

    def lasting(self, container: str) -> str:
        """What lasts of *container*."""
        return os.path.join(self.logs, container)

    def health(self, container: str) -> str:
        """The results of its health check."""
        return os.path.join(self.lasting(container), "health.json")

    def log(self, container: str) -> str:
        """Its output."""
        return os.path.join(self.lasting(container), "container.log")

    def limits(self, container: str) -> str:
        """The limits that `update` gave it last."""
        return os.path.join(self.bundle(container), "resources.json")

    def execs(self, container: str) -> str:
        """The bundles of commands run in it by exec."""
        return os.path.join(self.bundle(container), "exec")
