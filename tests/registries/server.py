"""A server of the tests: a real program that says where it listens, started and ended by its number."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.place import Place

REPOSITORY = Path(__file__).parents[2]
_TIMEOUT = 20  # seconds that starting or ending may take


class Server:
    """One program in one place for the length of a ``with``. What it prints is in ``printed`` and ``said``, files."""

    LISTENING = re.compile(r"listening on \S*?:(\d+)\b")

    def __init__(self, folder: Path, place: Place) -> None:
        self.folder = folder
        self.place = place
        self.port = 0
        """The same from the first start on: it is free at first, and asked for when the server is started again."""
        self.printed = folder / "stdout.log"
        self.said = folder / "stderr.log"
        self._running: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def command(self) -> Sequence[str]:
        """What to run, listening on ``port``."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """``ADDRESS:PORT``."""
        return f"{self.place.address}:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it listens. Raises :class:`AssertionError` with what it said."""
        assert self._running is None
        before = self.said.stat().st_size if self.said.exists() else 0
        environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(REPOSITORY), "LANG": "C.UTF-8"}
        with self.printed.open("ab") as printed, self.said.open("ab") as said:
            self._running = subprocess.Popen(
                self.place.command(self.command()),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=said,
                env=environment,
            )
        deadline = time.monotonic() + _TIMEOUT
        while not (found := self.LISTENING.search(self.said.read_bytes()[before:].decode(errors="replace"))):
            ended = self._running.poll()
            assert ended is None, f"{self.folder.name} ended with {ended}:\n{self.said.read_text()}"
            assert time.monotonic() < deadline, f"{self.folder.name} does not listen:\n{self.said.read_text()}"
            time.sleep(0.01)
        self.port = int(found[1])

    def stop(self) -> None:
        """SIGKILL, and wait; connections break. It can be started again."""
        if self._running is not None:
            self._running.kill()
            self._running.wait(_TIMEOUT)
            self._running = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
