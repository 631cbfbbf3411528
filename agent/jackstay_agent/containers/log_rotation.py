"""Rotation of the logs of running containers: by size, to a bounded number of files. No process, no descriptor a log.

conmon's own bound on a log's size replaces the file by an empty one. So the agent looks at the sizes, gives a file that
is full a number, and lets conmon open a new one (``2 0 0`` into its control pipe). Guarantees: no line is lost or there
twice, but for those of the oldest files beyond the bound; conmon is only told to open a file when there is none with
its name, since it would replace one; an agent that died in between finishes it. The look is at least every second; a
file may become larger than its size by what is written until then.

On a full disk nothing is rotated: conmon, which ends when it cannot make its file, is only told when that file is there
already, under the name by which it makes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import struct
import termios
import time
from dataclasses import dataclass

import structlog

from jackstay_agent import faults
from jackstay_agent.containers import log_files
from jackstay_agent.containers.layout import Layout
from jackstay_agent.containers.log_options import LogOptions
from jackstay_agent.kernel.threads import finish

_log = structlog.get_logger("containers")

_SOONEST, _LATEST = 0.05, 1.0  # seconds between two looks at a log
_REOPEN = b"2 0 0\n"


@dataclass(slots=True)
class _Watched:
    """A log that is looked at."""

    path: str
    ctl: str
    options: LogOptions
    due: float = 0  # when to look next, on the monotonic clock
    looked: float = 0
    size: int = 0  # at the last look
    told: bool = False  # conmon was told about the file that is missing
    idle: int = -1  # bytes in the newest file when conmon was seen to have read all that it was told; -1: it was not
    full: bool = False  # the disk was, at the last try


class LogRotation:
    """Rotates the logs of one agent's containers."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._watched: dict[str, _Watched] = {}
        self._task: asyncio.Task[None] | None = None

    def watch(self, container: str, options: LogOptions) -> None:
        """Rotate the log of *container*, which runs, until its conmon ends; nothing to do for one without a bound."""
        if not options.size:
            return
        path = self._layout.log(container)
        self._watched[container] = _Watched(path, os.path.join(self._layout.bundle(container), "ctl"), options)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Rotate no more; what is under way is done."""
        self._watched.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._watched:
            now = time.monotonic()
            for container, log in list(self._watched.items()):
                if log.due <= now:
                    wait = await finish(look, log, now)
                    if wait is None:
                        if self._watched.get(container) is log:
                            del self._watched[container]
                    else:
                        log.due = now + wait
            pauses = [log.due - time.monotonic() for log in self._watched.values()]
            await asyncio.sleep(max(0.0, min(pauses, default=0.0)))


def look(log: _Watched, now: float) -> float | None:
    """Rotate *log* if it is time; in how many seconds to look again, None when its conmon has ended. Blocking."""
    try:
        ctl = os.open(log.ctl, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _look(log, ctl, now)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            _log.error("cannot rotate a log", path=log.path, error=str(error))
        elif not log.full:
            _log.warning("no room to rotate a log: it grows on", path=log.path)
        log.full = True
        return _LATEST
    finally:
        os.close(ctl)


def _look(log: _Watched, ctl: int, now: float) -> float:
    try:
        size = os.stat(log.path).st_size
    except FileNotFoundError:
        return _remind(log, ctl)
    log.told, log.idle = False, -1
    if size < log.options.size:
        _drop(log, log.options.files - 1)
        rate = (size - log.size) / (now - log.looked) if now > log.looked > 0 else 0.0
        log.size, log.looked = size, now
        return max(_SOONEST, min(_LATEST, (log.options.size - size) / rate if rate > 0 else _LATEST))
    _drop(log, log.options.files - 2)
    # Before anything else, what conmon must be able to make.
    os.close(os.open(f"{log.path}.tmp", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    number = max(log_files.numbers(log.path), default=0) + 1
    os.rename(log.path, log_files.numbered(log.path, number))
    faults.point("containers.log_rotation.renamed")
    _tell(log, ctl)
    log.size, log.looked, log.idle, log.full = 0, now, -1, False
    return _SOONEST


def _remind(log: _Watched, ctl: int) -> float:
    """The log has no file: conmon is about to make it, or an earlier agent has died before it told conmon to.

    A conmon that has read what it was told, and writes to the old file after that, was not told to make another one:
    it does one thing at a time. How long it takes to make one says nothing, as it waits for the disk before that.
    """
    if log.told:
        return _SOONEST
    if _unread(ctl):
        return _LATEST
    newest = max(log_files.numbers(log.path), default=0)
    size = os.stat(log_files.numbered(log.path, newest)).st_size if newest else 0
    if not newest or size > log.idle >= 0:  # without any file there is nothing to lose
        _tell(log, ctl)
        return _SOONEST
    log.idle = size
    return _LATEST


def _tell(log: _Watched, ctl: int) -> None:
    os.write(ctl, _REOPEN)
    faults.point("containers.log_rotation.told")
    log.told = True


def _drop(log: _Watched, keep: int) -> None:
    """Delete the oldest files, but for *keep* of those with a number."""
    numbers = log_files.numbers(log.path)
    for number in numbers[: max(0, len(numbers) - max(0, keep))]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(log_files.numbered(log.path, number))


def _unread(pipe: int) -> int:
    """Bytes in *pipe* that its reader has not taken."""
    count = fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0")
    return int(struct.unpack("i", count)[0])
