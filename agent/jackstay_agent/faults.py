"""Named places at which a test can kill the agent.

`point(name)` does nothing unless the environment asks for it. ``JACKSTAY_FAULT=name`` kills the agent with SIGKILL when
the point is reached; ``JACKSTAY_FAULT=@file`` does so when *file* holds the name at that moment, so that a running
agent can be armed, or ``name#3`` for the third time from then on; ``JACKSTAY_FAULT_TRACE=file`` appends each name
reached to *file*. A point stands beside every fsync, rename, commit, mount and spawn; a test finds those calls and
fails where none does. Points work in the children of the spawner too: they take the agent with them.
"""

from __future__ import annotations

import fcntl
import os
import signal

_FAULT = os.environ.get("JACKSTAY_FAULT", "")
_TRACE = os.environ.get("JACKSTAY_FAULT_TRACE", "")
_agent_pid = os.getpid()


def point(name: str) -> None:
    """Die here if *name* is the fault that is switched on."""
    if not _FAULT and not _TRACE:
        return
    if _TRACE:
        descriptor = os.open(_TRACE, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, f"{name}\n".encode())
        finally:
            os.close(descriptor)
    if _due(name, _FAULT[1:]) if _FAULT.startswith("@") else name == _FAULT:
        os.kill(_agent_pid, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()


def remember_agent() -> None:
    """Make this process the one that faults kill; called once by the daemon before it starts children."""
    global _agent_pid
    _agent_pid = os.getpid()


def _due(name: str, path: str) -> bool:
    """Whether *path* says that *name* is to die now. What it is still to be reached before is counted down there."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        armed, _, times = os.read(descriptor, 200).decode().strip().partition("#")
        if armed != name:
            return False
        if (left := int(times or 1)) > 1:
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, f"{name}#{left - 1}".encode(), 0)
            return False
        return True
    finally:
        os.close(descriptor)
