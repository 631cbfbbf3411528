"""The agent of one host, as a process that can be killed and started again beside its living containers."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.agents import Agents
from tests.lab.errors import LabError
from tests.lab.namespace import Namespace
from tests.lab.processes import Process, find_inner

SOCKET = "/run/jackstay/jackstayd.sock"
_PID_FILE = "/run/lab/agent.pid"

# A process of its own that the host's first process adopts, as on a real host; its number stays the same through exec.
_LAUNCH = 'log=$1; pid=$2; shift 2; exec >>"$log" 2>&1 </dev/null; echo $$ >"$pid.new"; mv "$pid.new" "$pid"; exec "$@"'


class Agent:
    """``jackstayd`` on one host."""

    def __init__(
        self,
        name: str,
        namespace: Namespace,
        command: Sequence[str],
        log: Path,
        path: str,
        forked_by: Agents | None = None,
    ) -> None:
        self._name = name
        self._namespace = namespace
        self.command = list(command)
        self.log = log
        self._path = path
        self._forked_by = forked_by
        self.process: Process | None = None

    @property
    def pid(self) -> int:
        """Its number in the machine's own process namespace. Raises :class:`LabError` when it does not run."""
        process = self.find()
        if process is None:
            raise LabError(f"{self._name}: the agent is not running; {self._tail()}")
        return process.pid

    @property
    def socket(self) -> Path:
        """The path of its socket, from outside the host."""
        return self._namespace.path(SOCKET)

    def find(self) -> Process | None:
        """The running process, also when another program started it."""
        if self.process is None:
            try:
                inner = int(self._namespace.path(_PID_FILE).read_text())
                self.process = find_inner(self._namespace.process, inner, timeout=0)
            except (FileNotFoundError, ProcessLookupError):
                return None
        if not self.process.alive():
            self.process = None
        return self.process

    def start(self, env: Mapping[str, str] | None = None, wait: float | None = 20) -> None:
        """Start it with ``env`` added to a clean environment, and wait until it answers, at most ``wait`` seconds.

        With ``wait=None`` it is only started: for an agent that a fault point ends on its way. Raises
        :class:`LabError` with the end of its log when it does not come up.
        """
        if self.find() is not None:
            raise LabError(f"{self._name}: the agent is running already")
        self._namespace.path(_PID_FILE).unlink(missing_ok=True)
        environment = {"PATH": self._path, "HOME": "/root", "LANG": "C.UTF-8", **(env or {})}
        if self._forked_by is not None and Path(self.command[0]).name == "jackstayd":
            self._forked_by.start(self._namespace, self.command[1:], environment, self.log, _PID_FILE)
        else:
            launch = ["setsid", "--fork", "sh", "-c", _LAUNCH, "launch", str(self.log), _PID_FILE, *self.command]
            subprocess.run(self._namespace.command(launch), check=True, env=environment, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + (20 if wait is None else wait)
        while not self._namespace.path(_PID_FILE).exists():
            if time.monotonic() > deadline:
                raise LabError(f"{self._name}: the agent was not started; {self._tail()}")
            time.sleep(0.005)
        inner = int(self._namespace.path(_PID_FILE).read_text())
        try:
            self.process = find_inner(self._namespace.process, inner, timeout=0)
        except ProcessLookupError:
            self.process = None
        if wait is not None:
            self.wait_ready(wait)

    def wait_ready(self, timeout: float = 20) -> None:
        """Wait until it answers. Raises :class:`LabError` when it ends or stays silent for ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            if self.answers():
                return
            if self.find() is None:
                raise LabError(f"{self._name}: the agent ended while starting; {self._tail()}")
            if time.monotonic() > deadline:
                raise LabError(f"{self._name}: the agent does not answer; {self._tail()}")
            time.sleep(0.02)

    def answers(self) -> bool:
        """Whether it accepts a connection and says its version."""
        probe = socket.socket(socket.AF_UNIX)
        try:
            probe.connect(str(self.socket))
        except OSError:
            return False
        finally:
            probe.close()
        import grpc

        from jackstay_proto.v1 import system_pb2, system_pb2_grpc

        with grpc.insecure_channel(f"unix:{self.socket}") as channel:
            try:
                system_pb2_grpc.SystemStub(channel).Version(system_pb2.VersionRequest(), timeout=2)
            except grpc.RpcError:
                return False
        return True

    def kill(self) -> None:
        """SIGKILL: the agent is cut off wherever it is; its containers stay."""
        process = self.find()
        if process is None:
            raise LabError(f"{self._name}: there is no agent to kill; {self._tail()}")
        process.kill()
        self.process = None

    def stop(self, timeout: float = 20) -> None:
        """SIGTERM, and wait for the end. Raises :class:`LabError` when it stays. Not running is stopped."""
        process = self.find()
        if process is None:
            return
        process.signal(signal.SIGTERM)
        if not process.wait(timeout):
            raise LabError(f"{self._name}: the agent ignores SIGTERM; {self._tail()}")
        self.process = None

    def wait(self, timeout: float) -> int | None:
        """Wait until it has ended by itself; its exit status, ``-9`` after SIGKILL, ``None`` when that is not known.

        Raises :class:`TimeoutError` when it still runs after ``timeout`` seconds.
        """
        process = self.find()
        if process is not None and not process.wait(timeout):
            raise TimeoutError(f"{self._name}: the agent still runs")
        self.process = None
        inner = self._namespace.path(_PID_FILE).read_text().strip()
        exits = self._namespace.folder / "exits"
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            for line in reversed(exits.read_text().splitlines() if exits.exists() else []):
                if line.split()[0] == inner:
                    return int(line.split()[1])
            time.sleep(0.01)
        return None

    def _tail(self) -> str:
        try:
            lines = self.log.read_text().splitlines()
        except FileNotFoundError:
            lines = []
        return f"its log {self.log} ends with:\n" + "\n".join(lines[-30:])
