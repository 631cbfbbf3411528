"""One host of the lab."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.agent import Agent
from tests.lab.namespace import Namespace
from tests.lab.ssh import Sshd
from tests.lab.switch import LinkBytes, Switch


class Host:
    """A Linux host: its own processes, network, mounts, cgroups, sshd, agent; kernel and programs are the machine's."""

    def __init__(self, name: str, address: str, namespace: Namespace, switch: Switch, sshd: Sshd, agent: Agent) -> None:
        self.name = name
        self.address = address
        self.namespace = namespace
        self.sshd = sshd
        self.agent = agent
        self._switch = switch
        self.state_dir = namespace.folder / "state"
        """What the host sees as ``/var/lib/jackstay``, when its state is on disk."""

    def command(self, argv: Sequence[str]) -> list[str]:
        """What to run on this machine so that ``argv`` runs on the host, for callers that start it themselves."""
        return self.namespace.command(argv)

    def exec(
        self, argv: Sequence[str], input: str | None = None, timeout: float = 60, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on the host as root, not through SSH; text in and out, the exit code is not judged."""
        return subprocess.run(
            self.command(argv),
            input=input or "",
            capture_output=True,
            text=True,
            timeout=timeout,
            env=None if env is None else dict(env),
        )

    def path(self, inside: str) -> Path:
        """The path, from outside, of a file that the host calls ``inside``."""
        return self.namespace.path(inside)

    def log_text(self) -> str:
        """Everything its agents have logged."""
        return self.agent.log.read_text() if self.agent.log.exists() else ""

    def switch_off(self) -> None:
        """Pull its cable."""
        self._switch.power(self.name, on=False)

    def switch_on(self) -> None:
        """Put its cable back."""
        self._switch.power(self.name, on=True)

    def limit(self, rate: str | None = None, delay: str | None = None) -> None:
        """Slow its link down in both directions; nothing given: full speed again. See :meth:`Switch.limit`."""
        self._switch.limit(self.name, self.namespace, rate, delay)

    def link_bytes(self) -> LinkBytes:
        """What its link has carried."""
        return self._switch.link_bytes(self.name)
