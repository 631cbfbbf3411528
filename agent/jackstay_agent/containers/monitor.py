"""Monitors: one conmon a container. It is the parent of the container's first process, holds its terminal and log, and
records its exit; it outlives the agent.

Guarantees: when `Waiting.create` returns, the container is created (not started) and its monitor runs in a cgroup of
its own; when it raises, neither exists. Leaves to others the bundle's contents and the start.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from jackstay_agent import faults
from jackstay_agent.containers import identity
from jackstay_agent.containers.layout import Layout
from jackstay_agent.containers.pipes import Pipes
from jackstay_agent.containers.runtime import Runtime, log_words, translate
from jackstay_agent.errors import Error, RuntimeFailed

_CREATE_SECONDS = 60
_CGROUP_ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")


@dataclass(frozen=True, slots=True)
class Monitored:
    """A created container: its first process and its monitor, each with its start time (`identity.started`)."""

    pid: int
    pid_start: int
    monitor_pid: int
    monitor_start: int


@dataclass(frozen=True, slots=True)
class Streams:
    """How a container's standard streams are to be held."""

    tty: bool
    stdin: bool  # give it a standard input
    keep_stdin: bool  # leave it open when the one who attached goes


class Waiting:
    """A monitor that waits; see `Monitors.waiting`."""

    def __init__(self, monitors: Monitors, pipes: Pipes, runtime: str, layout: Layout, container: str) -> None:
        self._monitors = monitors
        self._pipes = pipes
        self._runtime = runtime
        self._layout = layout
        self._container = container

    async def create(self) -> Monitored:
        """Create the container from its bundle. Raises what `runtime.translate` makes of the runtime's words."""
        try:
            async with asyncio.timeout(_CREATE_SECONDS):
                return await self._create()
        except BaseException as error:
            await asyncio.shield(self._monitors.discard(self._container))
            if isinstance(error, TimeoutError):
                raise RuntimeFailed(
                    f"the OCI runtime {self._runtime} did not create the container within {_CREATE_SECONDS} s",
                    hint="try it by hand on the host, or set another runtime in jackstayd.toml",
                ) from error
            raise

    async def _create(self) -> Monitored:
        pipes, layout, container = self._pipes, self._layout, self._container
        pipes.go()
        await pipes.forked()
        told = await pipes.told()
        faults.point("containers.monitor.created")
        if told is None or told[0] <= 0:
            raise await asyncio.to_thread(failure, layout.bundle(container), told)
        return await asyncio.to_thread(_monitored, told[0], layout.monitor_pid_file(container))


class Monitors:
    """Starts conmon for containers and for commands run in them."""

    def __init__(self, conmon: str, runtime: Runtime, layout: Layout) -> None:
        self._conmon = conmon
        self._runtime = runtime
        self._layout = layout

    @asynccontextmanager
    async def waiting(self, container: str, name: str, streams: Streams, *, log: bool = True) -> AsyncIterator[Waiting]:
        """A monitor that waits for the word to create *container*, its output kept in its *log* or not; killed when the
        word does not come in the block.

        So it comes up, which takes as long as the runtime takes for half a container, beside what fills the bundle.
        """
        layout, bundle = self._layout, self._layout.bundle(container)
        await asyncio.to_thread(_make_folders, layout.persist(container), layout.lasting(container))
        argv = [
            *self.base(container, name, streams),
            *("-u", container, "-b", bundle, "-p", layout.pid_file(container)),
            *("--exit-dir", layout.exits, "--persist-dir", layout.persist(container)),
            *("-l", f"k8s-file:{layout.log(container)}" if log else "none", "--full-attach"),
            *("--conmon-pidfile", layout.monitor_pid_file(container)),
            *self.runtime_log(bundle),
        ]
        if streams.keep_stdin:
            argv.append("--leave-stdin-open")
        async with await Pipes.start(argv, bundle) as pipes:
            await asyncio.to_thread(relocate, pipes.pid)
            yield Waiting(self, pipes, self._runtime.path, layout, container)

    def base(self, container: str, name: str, streams: Streams) -> list[str]:
        """The part of conmon's command line that containers and exec sessions share."""
        argv = [self._conmon, "--api-version", "1", "-c", container, "-n", name, "-r", self._runtime.path]
        argv += ["--log-level", "warning"]
        for word in self._runtime.arguments:
            argv += ["--runtime-arg", word]
        if streams.tty:
            argv.append("-t")
        if streams.stdin:
            argv.append("-i")
        return argv

    def runtime_log(self, bundle: str) -> list[str]:
        """The part that makes the runtime log into *bundle*, where `failure` reads."""
        return [
            *("--runtime-arg", "--log-format=json", "--runtime-arg", "--log"),
            *("--runtime-arg", _runtime_log(bundle)),
        ]

    async def discard(self, container: str) -> None:
        """End whatever there is of *container*'s processes: its own, then its monitor."""
        try:
            await self._runtime.delete(container)
        finally:
            await asyncio.to_thread(end_monitor, self._layout.monitor_pid_file(container), self._conmon)


def failure(bundle: str, told: tuple[int, str] | None) -> Error:
    """Why the runtime failed, from its log in *bundle* or else from what conmon *told*."""
    try:
        with open(_runtime_log(bundle), "rb") as file:
            words = log_words(file.read(1 << 20))
    except OSError:
        words = ""
    message = told[1] if told is not None else ""
    return translate(words or message or "conmon ended without a word")


def end_monitor(pid_file: str, conmon: str) -> None:
    """Kill the monitor that *pid_file* names, if that process is still a *conmon* of that file's."""
    pid = identity.read_pid(pid_file)
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(1 << 16).split(b"\0")
    except OSError:
        return
    if words and os.path.basename(words[0]) == os.fsencode(os.path.basename(conmon)) and os.fsencode(pid_file) in words:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _monitored(pid: int, monitor_pid_file: str) -> Monitored:
    monitor_pid = identity.read_pid(monitor_pid_file)
    return Monitored(pid, identity.started(pid), monitor_pid, identity.started(monitor_pid))


def _runtime_log(bundle: str) -> str:
    return os.path.join(bundle, "oci-log")


def _make_folders(*folders: str) -> None:
    for folder in folders:
        os.makedirs(folder, mode=0o700, exist_ok=True)


def relocate(pid: int) -> None:
    """Move *pid* out of the agent's cgroup, so that ending the agent's service does not end it.

    Where that is not possible it stays; the service's ``KillMode=process`` then protects it.
    """
    for root in _CGROUP_ROOTS:
        if not os.path.exists(os.path.join(root, "cgroup.procs")):
            continue
        group = os.path.join(root, "jackstay", "monitors")
        try:
            os.makedirs(group, exist_ok=True)
            with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as file:
                file.write(str(pid))
        except OSError:
            continue
