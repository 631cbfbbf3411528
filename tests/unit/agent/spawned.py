"""A real spawner for tests: a test process has threads and must not fork, so another process forks it.

That one, the nursery, has loaded what spawners load once; it is started by the first test that needs it and ends with
the test process.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from jackstay_agent.kernel import spawner, syscalls
from jackstay_agent.kernel.spawner import Spawner

MODULES = (
    "jackstay_agent.kernel.mounts",
    "jackstay_agent.layers.apply",
    "jackstay_agent.layers.compare",
    "jackstay_agent.layers.copying",
    "jackstay_agent.layers.deleting",
    "jackstay_agent.layers.diff",
    "jackstay_agent.layers.subvolumes",
    "jackstay_agent.layers.trials",
    "jackstay_agent.layers.usage",
)

_ROOT = Path(__file__).parents[3]
_LARGEST = 1 << 16


def start_spawner(modules: Iterable[str] = MODULES, path: Iterable[str] = ()) -> Spawner:
    """Start a spawner with *modules* imported, which may lie in the folders *path*; to be ended by `close`."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    message = json.dumps({"modules": list(modules), "path": list(path)}).encode()
    with theirs:
        nursery = _nursery()
        socket.send_fds(nursery, [message], [theirs.fileno()])
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
def _nursery() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        theirs.set_inheritable(True)
        arguments = [sys.executable, "-m", __name__, str(theirs.fileno())]
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
            _become(socket.socket(fileno=fds[0]), **json.loads(message))
        os.close(fds[0])
        control.send(str(pid).encode())


def _become(channel: socket.socket, modules: list[str], path: list[str]) -> None:
    """Be the spawner; never returns. It ends when the channel does, or at the latest with the nursery."""
    syscalls.set_death_signal(signal.SIGKILL)
    sys.path[:0] = path
    try:
        for module in modules:
            importlib.import_module(module)
        spawner._serve(channel)
    finally:
        os._exit(1)


if __name__ == "__main__":
    for module in MODULES:
        importlib.import_module(module)
    _serve(socket.socket(fileno=int(sys.argv[1])))
