"""A real spawner for tests: a test process has threads and must not fork, so another process forks it.

That one, the nursery, has loaded once what the agent's spawner loads; it is started by the first test that needs it
and ends with the test process.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import select
import signal
import socket
import sys
from pathlib import Path

from jackstay_agent.daemon.jobs import MODULES
from jackstay_agent.kernel import spawner, syscalls
from jackstay_agent.kernel.spawner import Spawner

_ROOT = Path(__file__).parents[3]
_LARGEST = 1 << 16


def start_spawner(*more: str) -> Spawner:
    """Start a spawner as the agent's, with the modules *more* of jobs imported, too; to be ended by `close`."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    nursery = _nursery(more)
    with theirs:
        socket.send_fds(nursery, [b"one more"], [theirs.fileno()])
    return _OfTheNursery(int(nursery.recv(_LARGEST)), ours)


class _OfTheNursery(Spawner):
    """One that is another process's child: it is that one's to reap."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        super().__init__(pid, channel)
        self._ended = os.pidfd_open(pid)

    def _reap(self) -> None:
        select.select([self._ended], [], [])
        os.close(self._ended)


@functools.cache
def _nursery(more: tuple[str, ...]) -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        theirs.set_inheritable(True)
        arguments = [sys.executable, "-m", __name__, str(theirs.fileno()), *more]
        os.posix_spawn(sys.executable, arguments, {**os.environ, "PYTHONPATH": str(_ROOT)})
    return ours


def _serve(control: socket.socket) -> None:
    gc.freeze()
    while True:
        message, fds, _flags, _address = socket.recv_fds(control, _LARGEST, 1)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not message:
            return
        pid = os.fork()
        if pid == 0:
            control.close()
            _become(socket.socket(fileno=fds[0]))
        os.close(fds[0])
        control.send(str(pid).encode())


def _become(channel: socket.socket) -> None:
    """Be the spawner; never returns. It ends when the channel does, or at the latest with the nursery."""
    syscalls.set_death_signal(signal.SIGKILL)
    try:
        spawner._serve(channel)
    finally:
        os._exit(1)


if __name__ == "__main__":
    spawner._load([*MODULES, *sys.argv[2:]])
    _serve(socket.socket(fileno=int(sys.argv[1])))
