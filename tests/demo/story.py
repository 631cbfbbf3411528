"""What the walkthrough needs to be told and checked: a laptop, a lab, a narrator."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.demo.base import Base
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, Ran
from tests.lab.terminal import Terminal

# A server that has just been started gets ten seconds to listen.
CURL = (
    *("curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "10"),
    *("--retry", "20", "--retry-connrefused", "--retry-delay", "1", "--retry-max-time", "10"),
)


class Story:
    """Commands that are shown while they run, and checks that end the story when they fail."""

    def __init__(self, lab: Lab, base: Base, folder: Path, say: Callable[[str], None]) -> None:
        self.lab = lab
        self.base = base
        self.folder = folder
        self._say = say
        self.laptop = Laptop(lab, cold=True)
        self.checks = 0

    def tell(self, text: str) -> None:
        """A sentence for who watches."""
        self._say(text)

    def run(self, *argv: str | Path, code: int = 0) -> Ran:
        """Run ``jackstay ARGV`` and show it; it must end with ``code``."""
        self._say(f"  $ jackstay {shlex.join(map(str, argv))}")
        ran = self.laptop.run(*argv, timeout=120)
        shown = [line[:160] for line in (ran.stdout + ran.stderr).splitlines()]
        for line in [*shown[:12], *(["…"] if len(shown) > 12 else [])]:
            self._say(f"    {line}")
        return ran.ended(code)

    def ask(self, *argv: str | Path) -> Ran:
        """Run ``jackstay ARGV`` to check something, without showing it; it must succeed."""
        return self.laptop.ok(*argv, timeout=120)

    def terminal(self, *argv: str | Path) -> Terminal:
        """Run ``jackstay ARGV`` on a terminal."""
        self._say(f"  $ jackstay {shlex.join(map(str, argv))}")
        return self.laptop.terminal(*argv)

    def check(self, what: str, holds: object, seen: object = "") -> None:
        """``what`` must be so. Raises :class:`AssertionError` with what was ``seen`` instead."""
        assert holds, f"not so: {what}\n{seen}"
        self.checks += 1
        self._say(f"  ✓ {what}")

    def fetch(self, url: str) -> str:
        """The page at ``url``, asked for from the laptop."""
        asked = subprocess.run([*CURL, url], capture_output=True, text=True)
        return asked.stdout + asked.stderr

    def fetch_on(self, host: str, url: str) -> str:
        """The page at ``url``, asked for on a host."""
        asked = self.lab.hosts[host].exec([*CURL, url])
        return asked.stdout + asked.stderr
