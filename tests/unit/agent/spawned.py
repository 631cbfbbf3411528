"""A real spawner for tests, started as an interpreter of its own: a test process has threads and must not fork."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable

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

_SERVE = """
import importlib, signal, socket, sys
from jackstay_agent.kernel import spawner, syscalls
syscalls.set_death_signal(signal.SIGKILL)
for module in sys.argv[2:]:
    importlib.import_module(module)
spawner._serve(socket.socket(fileno=int(sys.argv[1])))
"""


def start_spawner(modules: Iterable[str] = MODULES, path: Iterable[str] = ()) -> Spawner:
    """Start a spawner with *modules* imported, which may lie in the folders *path*; to be ended by `close`."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.set_inheritable(True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    arguments = [sys.executable, "-c", _SERVE, str(theirs.fileno()), *modules]
    pid = os.posix_spawn(sys.executable, arguments, environment)
    theirs.close()
    return Spawner(pid, ours)
