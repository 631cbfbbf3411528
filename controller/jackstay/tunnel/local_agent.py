"""Starting the agent of this machine on demand: for root on Linux, where the ``agent`` extra is installed.

It is a process of its own that outlives the command; it stops by itself when it was idle for `IDLE` seconds and no
container runs. Nothing is started where another socket than the usual one was asked for.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from pathlib import Path

from jackstay.inventory.host import AGENT_SOCKET

STATE = "/var/lib/jackstay"
LOG = f"{STATE}/jackstayd.log"
IDLE = 60
"""Seconds."""

PROGRAM = Path(sys.executable).parent / "jackstayd"


def can_start(socket: str) -> bool:
    """Whether an agent that listens on *socket* can be started here by this user."""
    return (
        sys.platform == "linux"
        and os.geteuid() == 0
        and socket == AGENT_SOCKET
        and PROGRAM.exists()
        and importlib.util.find_spec("pyroute2") is not None
    )


async def start() -> Started:
    """Start it, without waiting until it listens. Raises `OSError`."""
    return await asyncio.to_thread(_start)


class Started:
    """An agent that was started."""

    def __init__(self, pid: int, log: int) -> None:
        self._pid = pid
        self._log = log

    def failed(self) -> str | None:
        """Why it ended, in its own words; None while it runs."""
        try:
            if os.waitpid(self._pid, os.WNOHANG) == (0, 0):
                return None
        except ChildProcessError:
            pass
        with open(LOG, "rb") as log:
            log.seek(self._log)
            lines = log.read(1 << 16).decode(errors="replace").splitlines()
        told = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
        return told[-1] if told else f"see {LOG}"


def _start() -> Started:
    os.makedirs(STATE, mode=0o700, exist_ok=True)
    log = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(log).st_size
        argv = [str(PROGRAM), "--stop-when-idle", str(IDLE)]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/root", "LANG": "C.UTF-8"}
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
        ]
        return Started(os.posix_spawn(PROGRAM, argv, environment, file_actions=files, setsid=True), size)
    finally:
        os.close(log)
