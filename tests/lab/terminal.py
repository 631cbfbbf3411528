"""A program on a pseudo-terminal: type, and wait for what it shows."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType


class Terminal:
    """The screen and the keyboard of one running program; killed at the end of the ``with``, if it still runs."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], rows: int = 24, columns: int = 100) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._process = subprocess.Popen(
            # The terminal becomes the controlling one of the new session, ^C and window sizes are signals.
            ["setsid", "--ctty", *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=dict(environment),
        )
        os.close(slave)
        self.shown = ""
        self._seen = 0

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._master)

    def type(self, text: str) -> None:
        """Type ``text``; ``\\n`` is the Enter key."""
        os.write(self._master, text.replace("\n", "\r").encode())

    def expect(self, pattern: str, timeout: float = 20) -> re.Match[str]:
        """Wait until ``pattern`` is shown after the last match. Raises :class:`AssertionError` with all that was."""
        deadline = time.monotonic() + timeout
        while True:
            match = re.search(pattern, self.shown[self._seen :])
            if match:
                self._seen += match.end()
                return match
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"{pattern!r} was not shown; the terminal shows:\n{self.shown}")

    def resize(self, rows: int, columns: int) -> None:
        """Change the window's size; the kernel tells the program."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait(self, timeout: float = 20) -> int:
        """Wait for the program's end, reading on; its exit code."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0 and self._read(left):
            pass
        return self._process.wait(max(0.1, deadline - time.monotonic()))

    def _read(self, timeout: float) -> bool:
        """Read what is there, at most ``timeout`` seconds late; false at the end."""
        if not select.select([self._master], [], [], timeout)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says EIO when the last program has left the terminal
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)
