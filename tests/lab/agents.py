"""Starts agents without loading their modules anew for each: a process that has loaded all of them forks one.

An agent is a process of its own in its host's namespaces and cgroups, adopted by the host's first process, as one that
is started by name; what it saves is the import of gRPC and of the agent itself, most of a start's time. How the real
program starts is tested wherever a lab is made without this.

Protocol, over a socket pair: a message is a `Start` as JSON; there is no answer but what the agent does.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from tests.lab.namespace import Namespace

_LARGEST = 1 << 20
_ROOT = Path(__file__).parents[2]
_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000
"""CLONE_NEWNS, -CGROUP, -UTS, -IPC, -PID, -NET."""


@dataclass(frozen=True)
class Start:
    """One agent: whose host's namespaces and cgroups (see `Namespace`), and what it is started with."""

    host: int
    joins: Sequence[str]
    arguments: Sequence[str]
    env: Mapping[str, str]
    log: str
    pid_file: str


class Agents:
    """The process that forks agents; it ends with the one that made it, and its agents do not."""

    def __init__(self) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.lab.agents", str(other.fileno())],
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
            )

    def start(
        self, namespace: Namespace, arguments: Sequence[str], env: Mapping[str, str], log: Path, pid_file: str
    ) -> None:
        """Start ``jackstayd`` with *arguments* and *env*, and nothing else in its environment.

        *log* gets its output; *pid_file*, a path inside the host, gets its number there, and may exist some time later.
        """
        host = namespace.process.pid
        start = Start(host, namespace.joins, arguments, env, str(log), pid_file)
        self._socket.send(json.dumps(asdict(start)).encode())

    def close(self) -> None:
        """End the process."""
        self._socket.close()
        self._process.wait(10)


def _import() -> None:
    """What an agent and its spawner load, as far as it starts no thread."""
    sys.modules["rich"] = None  # type: ignore[assignment]  # as in `jackstay_agent.daemon.main`
    from jackstay_agent.daemon.jobs import MODULES

    for name in (*MODULES, "jackstay_agent.daemon.main", "jackstay_agent.daemon.serve"):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _serve(control: socket.socket) -> None:
    while message := control.recv(_LARGEST):
        pid = os.fork()
        if pid == 0:
            _leave(Start(**json.loads(message)))
        os.waitpid(pid, 0)


def _leave(start: Start) -> NoReturn:
    """Go to the host, and have a process there that its first process adopts."""
    status = 1
    try:
        for join in start.joins:
            Path(f"/proc/{start.host}/root{join}").write_text("0")
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(os.pidfd_open(start.host), _NAMESPACES) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        if child := os.fork():  # the first that is in the host's process namespace
            os.waitpid(child, 0)
        else:
            os.setsid()
            if not os.fork():
                _become(start)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _become(start: Start) -> None:
    """Be the agent; never returns."""
    from jackstay_agent import faults
    from jackstay_agent.daemon.main import main

    null = os.open("/dev/null", os.O_RDONLY)
    log = os.open(start.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for target, fd in enumerate((null, log, log)):
        os.dup2(fd, target)
    os.closerange(3, 256)
    Path(f"{start.pid_file}.new").write_text(f"{os.getpid()}\n")
    os.rename(f"{start.pid_file}.new", start.pid_file)
    os.environ.clear()
    os.environ.update(start.env)
    importlib.reload(faults)  # which reads its environment
    sys.argv = ["jackstayd", *start.arguments]
    code: object = 1
    try:
        main()
        code = 0
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    _import()
    _serve(socket.socket(fileno=int(sys.argv[1])))
