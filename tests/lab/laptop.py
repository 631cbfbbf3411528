"""The laptop: runs ``jackstay`` as a user would, each command in a process of its own, and says what came of it."""

from __future__ import annotations

import atexit
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.lab.commands import Commands
from tests.lab.lab import PROGRAMS, Lab
from tests.lab.terminal import Terminal

JACKSTAY = str(PROGRAMS / "jackstay")


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        """Standard output, line by line."""
        return self.stdout.splitlines()

    @property
    def json(self) -> Any:
        """Standard output as the JSON document it is."""
        return json.loads(self.stdout)

    def ok(self) -> Ran:
        """Itself, when the exit code is 0. Raises :class:`AssertionError` with everything that was printed."""
        return self.ended(0)

    def ended(self, code: int) -> Ran:
        """Itself, when the exit code is ``code``. Raises :class:`AssertionError` with everything that was printed."""
        assert self.code == code, f"{self}\nexpected exit code {code}"
        return self

    def __str__(self) -> str:
        return f"$ jackstay {' '.join(self.argv)}\n{self.stdout}{self.stderr}[exit code {self.code}]"


class Laptop:
    """Where the commands are typed. With *cold*, each that is run starts Python anew, as a shell's do."""

    def __init__(self, lab: Lab, *, cold: bool = False) -> None:
        self.lab = lab
        self.cold = cold
        self.environment = lab.environment()

    def run(self, *argv: str | Path, input: bytes = b"", timeout: float = 60, **environment: str) -> Ran:
        """Run ``jackstay ARGV``; the exit code is not judged."""
        arguments = tuple(map(str, argv))
        environment = self.environment | environment
        if self.cold:
            ended = subprocess.run(
                [JACKSTAY, *arguments], input=input, capture_output=True, timeout=timeout, env=environment
            )
            code, output, errors = ended.returncode, ended.stdout, ended.stderr
        else:
            code, output, errors = _commands().run(arguments, environment, input, timeout)
        return Ran(arguments, code, output.decode(errors="replace"), errors.decode(errors="replace"))

    def ok(self, *argv: str | Path, timeout: float = 60) -> Ran:
        """Run ``jackstay ARGV``, which must succeed."""
        return self.run(*argv, timeout=timeout).ok()

    def start(self, *argv: str | Path) -> subprocess.Popen[bytes]:
        """Start ``jackstay ARGV`` for the caller to end and to wait for."""
        return subprocess.Popen(
            [JACKSTAY, *map(str, argv)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
        )

    def terminal(self, *argv: str | Path) -> Terminal:
        """Start ``jackstay ARGV`` on a terminal."""
        return Terminal([JACKSTAY, *map(str, argv)], self.environment | {"TERM": "xterm"})


@cache
def _commands() -> Commands:
    """The process that this one's commands are forked from."""
    commands = Commands()
    atexit.register(commands.close)
    return commands


def data(ran: Ran, host: str | None = None) -> list[Any]:
    """The objects of one host in what ``--json`` printed; without ``host``, of the only one."""
    elements: Sequence[dict[str, Any]] = ran.json
    if host is None:
        assert len(elements) == 1, ran
        return list(elements[0]["data"])
    return list(next(element for element in elements if element["host"] == host)["data"])
