"""The local terminal while a container has it: raw mode, its size, and putting everything back whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jackstay.errors import UsageError


def require_terminal(what: str) -> None:
    """Make sure that standard input is a terminal, in docker's words.

    Raises:
        UsageError: it is not.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"{what} -t: the input device is not a terminal", hint="leave -t away")


def window_size() -> tuple[int, int]:
    """Rows and columns of the terminal itself; 24 and 80 when there is none."""
    for fd in (0, 1, 2):
        try:
            size = os.get_terminal_size(fd)
        except OSError:
            continue
        return size.lines, size.columns
    return 24, 80


@contextmanager
def raw_mode(fd: int = 0) -> Iterator[None]:
    """The terminal in raw mode for the block; restored also when it is left by an exception. No terminal: nothing."""
    if not os.isatty(fd):
        yield
        return
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd, termios.TCSADRAIN)
        # Keep what is written here as it is: the container's terminal makes its own line ends.
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


@contextmanager
def on_resize(changed: Callable[[], None]) -> Iterator[None]:
    """Call ``changed`` in the event loop whenever the terminal's size changes."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGWINCH, changed)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
