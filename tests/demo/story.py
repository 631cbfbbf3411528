"""What the walkthrough needs to be told and checked: a laptop, a lab, a narrator."""

from __future__ import annotations

import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.demo.base import Base
from tests.demo.hub import Hub
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, Ran
from tests.lab.terminal import Terminal

PAGE = "<h1>Carried over a line between two ships</h1>"

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
        self.hub = Hub(lab, folder)
        self.laptop = Laptop(lab, cold=True)
        self.laptop.environment["DOCKER_CONFIG"] = str(folder / "docker")  # logins are kept there
        self.checks = 0

    def tell(self, text: str) -> None:
        """A sentence for who watches."""
        self._say(text)

    def run(self, *argv: str | Path, code: int = 0, input: str = "") -> Ran:
        """Run ``jackstay ARGV`` and show it, but not what is typed; it must end with ``code``."""
        self._command("jackstay", *argv)
        ran = self.laptop.run(*argv, input=input.encode(), timeout=120)
        shown = [line[:160] for line in (ran.stdout + ran.stderr).splitlines()]
        for line in [*shown[:12], *(["…"] if len(shown) > 12 else [])]:
            self._say(f"    {line}")
        return ran.ended(code)

    def ask(self, *argv: str | Path) -> Ran:
        """Run ``jackstay ARGV`` to check something, without showing it; it must succeed."""
        return self.laptop.ok(*argv, timeout=120)

    def terminal(self, *argv: str | Path) -> Terminal:
        """Run ``jackstay ARGV`` on a terminal."""
        self._command("jackstay", *argv)
        return self.laptop.terminal(*argv)

    @contextmanager
    def started(self, *argv: str) -> Iterator[str]:
        """``jackstay ARGV`` for the length of the block, which gets its first line; Ctrl-C ends it."""
        self._command("jackstay", *argv)
        process = self.laptop.start(*argv)
        try:
            assert process.stdout is not None
            line = process.stdout.readline().decode().strip()
            self._say(f"    {line}")
            yield line
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
            assert process.returncode == 0, said
        finally:
            process.kill()
            process.communicate()

    def program(self, *argv: str | Path) -> None:
        """Run another program and show it; it must succeed."""
        self._command(*argv)
        ended = subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, ended.stdout + ended.stderr

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

    def _command(self, *argv: str | Path) -> None:
        self._say(f"  $ {shlex.join(map(str, argv))}")
