"""Processes named by number and start time, so that a number used again by a stranger is never signalled."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """One process of this machine, for as long as it lives."""

    pid: int
    start: int  # clock ticks since boot, field 22 of /proc/PID/stat

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this number now. Raises :class:`ProcessLookupError` when none has."""
        return cls(pid, _start_of(pid))

    def alive(self) -> bool:
        """Whether it is there and not a zombie. A first thread that has ended before the others leaves it alive."""
        try:
            fields = _stat(self.pid)
        except ProcessLookupError:
            return False
        return int(fields[19]) == self.start and (fields[0] not in "ZX" or int(fields[17]) > 1)

    def signal(self, number: int) -> bool:
        """Send a signal; false when the process is gone."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if _start_of(self.pid) != self.start:
                return False
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True

    def wait(self, timeout: float) -> bool:
        """Wait until it has ended, at most ``timeout`` seconds; whether it has."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.alive():
                return True
            return bool(select.select([descriptor], [], [], timeout)[0])
        finally:
            os.close(descriptor)

    def kill(self, timeout: float = 10) -> None:
        """SIGKILL, and wait. Raises :class:`TimeoutError` when it is still there after ``timeout`` seconds."""
        if self.signal(signal.SIGKILL) and not self.wait(timeout):
            raise TimeoutError(f"process {self.pid} does not end")

    def inner_pid(self) -> int:
        """Its number in its own process namespace."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1])


def in_namespace_of(process: Process) -> list[Process]:
    """Every process in the same process namespace, nested ones excepted."""
    namespace = os.readlink(f"/proc/{process.pid}/ns/pid")
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if os.readlink(f"/proc/{entry}/ns/pid") == namespace:
                found.append(Process.of(int(entry)))
        except (FileNotFoundError, ProcessLookupError, PermissionError):  # ended meanwhile, or guarded: not the host's
            continue
    return found


def find_inner(process: Process, inner_pid: int, timeout: float = 5) -> Process:
    """The process with number ``inner_pid`` inside ``process``'s namespace. Raises :class:`ProcessLookupError`."""
    deadline = time.monotonic() + timeout
    while True:
        for candidate in in_namespace_of(process):
            try:
                if candidate.inner_pid() == inner_pid:
                    return candidate
            except (FileNotFoundError, ProcessLookupError):
                continue
        if time.monotonic() > deadline:
            raise ProcessLookupError(f"no process {inner_pid} in the host")
        time.sleep(0.01)


def adopt_orphans() -> None:
    """From now on, what a child of this process leaves behind becomes this process's child."""
    PR_SET_CHILD_SUBREAPER = 36  # noqa: N806
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def end_children() -> None:
    """SIGKILL this process's children, and theirs as they are adopted, until there is none."""
    while children := Path("/proc/self/task", str(os.getpid()), "children").read_text().split():
        for pid in map(int, children):
            os.kill(pid, signal.SIGKILL)  # a child's number stays its own until it is waited for
            os.waitpid(pid, 0)


def _stat(pid: int) -> list[str]:
    try:
        # The name may hold spaces and parentheses; what follows the last one may not. Element 0 is field 3, the state.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(f"no process {pid}") from None


def _start_of(pid: int) -> int:
    return int(_stat(pid)[19])
