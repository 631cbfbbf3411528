"""What ``ps -ef`` prints of processes, read from ``/proc``: for hosts without a ``ps``. Blocking."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Iterable

from jackstay_agent.containers.process_table import ProcessTable

TITLES = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")
_PTS_MAJORS = range(136, 144)  # 256 terminals each (Documentation/admin-guide/devices.txt)
_CONSOLES_MAJOR = 4


def read(pids: Iterable[int], proc: str = "/proc", now: float | None = None) -> ProcessTable:
    """The table of *pids*; who has ended meanwhile is left out. *now* is seconds since 1970."""
    now = time.time() if now is None else now
    booted = _booted(proc)
    rows = []
    for pid in pids:
        try:
            rows.append(_row(proc, pid, booted, now))
        except (OSError, ValueError, IndexError):
            continue
    return ProcessTable(TITLES, tuple(rows))


def _row(proc: str, pid: int, booted: int, now: float) -> tuple[str, ...]:
    folder = os.path.join(proc, str(pid))
    before, _, after = _text(os.path.join(folder, "stat")).rpartition(")")
    comm, fields = before.partition("(")[2], after.split()
    ticks = os.sysconf("SC_CLK_TCK")
    used = (int(fields[11]) + int(fields[12])) / ticks
    started = booted + int(fields[19]) / ticks
    words = _text(os.path.join(folder, "cmdline")).rstrip("\0").replace("\0", " ")
    return (
        _user(os.stat(folder).st_uid),
        str(pid),
        fields[1],
        str(min(int(used * 100 / max(now - started, 1)), 99)),
        _start(started, now),
        _terminal(int(fields[4])),
        f"{int(used) // 3600:02}:{int(used) // 60 % 60:02}:{int(used) % 60:02}",
        words or f"[{comm}]",
    )


def _booted(proc: str) -> int:
    for line in _text(os.path.join(proc, "stat")).splitlines():
        if line.startswith("btime "):
            return int(line.split()[1])
    return 0


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _start(started: float, now: float) -> str:
    """The time of today, the day of this year, the year."""
    then, today = time.localtime(started), time.localtime(now)
    if (then.tm_year, then.tm_yday) == (today.tm_year, today.tm_yday):
        return time.strftime("%H:%M", then)
    return time.strftime("%b%d" if then.tm_year == today.tm_year else "%Y", then)


def _terminal(number: int) -> str:
    major, minor = os.major(number), os.minor(number)
    if major in _PTS_MAJORS:
        return f"pts/{(major - _PTS_MAJORS.start) * 256 + minor}"
    return f"tty{minor}" if major == _CONSOLES_MAJOR and minor < 64 else "?"


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
