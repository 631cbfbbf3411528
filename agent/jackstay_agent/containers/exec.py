"""Commands run in a running container: one more conmon each, with a bundle of its own inside the container's.

Guarantees: when `start` returns, the process runs and its streams are joined from the first byte; when it raises,
nothing is left. A session's folder goes when its command ends, also when nobody listens any more; those of an agent
that died go with the container's bundle. Leaves to others what process to run (`process`, as in the runtime spec).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal as signals
from collections.abc import AsyncIterator, Callable
from typing import Any

from jackstay_agent import faults
from jackstay_agent.containers import identity
from jackstay_agent.containers.attach import Client, Hub, Stream, resize
from jackstay_agent.containers.ids import new_id
from jackstay_agent.containers.layout import Layout
from jackstay_agent.containers.monitor import Monitors, Streams, failure, relocate
from jackstay_agent.containers.pipes import Pipes
from jackstay_agent.containers.runtime import naming
from jackstay_agent.errors import RuntimeFailed

_START_SECONDS = 60
_UNKNOWN = 255


class Session:
    """One command that runs. Made by `Execs.start`."""

    def __init__(
        self, session: str, folder: str, pid: int, pid_start: int, hub: Hub | None, client: Client | None
    ) -> None:
        self.id = session
        self._client = client
        self._folder = folder
        self._pid = pid
        self._pid_start = pid_start
        self._hub = hub
        self._code: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """What it writes, until it ends; nothing of a detached one."""
        if self._client is not None:
            async for stream, data in self._client:
                yield stream, data

    async def write(self, data: bytes) -> None:
        """Write to its standard input."""
        if self._hub is not None:
            await self._hub.write(data)

    async def close_stdin(self) -> None:
        """Close its standard input."""
        if self._hub is not None:
            await self._hub.close_stdin()

    async def resize(self, height: int, width: int) -> None:
        """Set its terminal's size. Raises `WrongState` when it has ended."""
        await asyncio.to_thread(resize, self._folder, height, width)

    async def signal(self, number: int) -> None:
        """Send it a signal; no effect when it has ended."""
        await asyncio.to_thread(_signal, self._pid, self._pid_start, number)

    async def end(self) -> None:
        """Kill it, and what it started in its process group; no effect when it has ended."""
        await asyncio.to_thread(_kill_group, self._pid, self._pid_start)

    async def leave(self) -> None:
        """Stop listening. The command goes on, without standard input."""
        if self._hub is not None:
            await self._hub.close()

    async def wait(self) -> int | None:
        """Its exit code, 128 + n for signal n; None when the agent goes and the command stays. After `output` ended."""
        return await asyncio.shield(self._code)

    def on_end(self, told: Callable[[int], None]) -> None:
        """Have *told* called with its exit code when it has ended, at once if it has; not when the agent goes."""

        def end(code: asyncio.Future[int | None]) -> None:
            if not code.cancelled() and (ended := code.result()) is not None:
                told(ended)

        self._code.add_done_callback(end)

    async def finish(self, code: int | None) -> None:
        """Note that it ended with *code* (None: the agent goes)."""
        if not self._code.done():
            self._code.set_result(code)
        if self._hub is not None:
            await (self._hub.close() if code is None else self._hub.finish())


class Execs:
    """Starts commands in containers."""

    def __init__(self, monitors: Monitors, layout: Layout) -> None:
        self._monitors = monitors
        self._layout = layout
        self._watching: set[asyncio.Task[None]] = set()

    async def start(
        self,
        container: str,
        process: dict[str, Any],
        streams: Streams,
        *,
        detach: bool,
    ) -> Session:
        """Run *process* in the running *container*.

        Raises `CommandNotFound`, `CommandNotExecutable`, `RuntimeFailed`.
        """
        session = new_id()
        folder = os.path.join(self._layout.execs(container), session)
        try:
            await asyncio.to_thread(_prepare, folder, process)
            with naming(process["args"][0]):
                async with asyncio.timeout(_START_SECONDS):
                    return await self._start(container, session, folder, streams, detach)
        except BaseException as error:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))
            if isinstance(error, TimeoutError):
                raise RuntimeFailed(f"conmon did not start the command within {_START_SECONDS} s") from error
            raise

    async def _start(self, container: str, session: str, folder: str, streams: Streams, detach: bool) -> Session:
        argv = [
            *self._monitors.base(container, session, streams),
            *("-u", session, "-b", folder, "-p", os.path.join(folder, "exec_pid")),
            *("--exit-dir", os.path.join(folder, "exit"), "--persist-dir", os.path.join(folder, "persist")),
            *("-l", "none", "--full-attach", "-e", "--exec-process-spec", os.path.join(folder, "process.json")),
            *self._monitors.runtime_log(folder),
        ]
        if not detach:
            argv.append("--exec-attach")
        pipes = await Pipes.start(argv, folder)
        hub, client = None, None
        try:
            await asyncio.to_thread(relocate, pipes.pid)
            pipes.go()
            await pipes.forked()
            if not detach:
                await pipes.attachable()
                hub = Hub(folder)
                client = hub.join()
                await hub.open()
                pipes.go()
            told = await pipes.told()
            faults.point("containers.exec.started")
            if told is None or told[0] <= 0:
                raise await asyncio.to_thread(failure, folder, told)
        except BaseException:
            if hub is not None:
                await hub.close()
            await asyncio.shield(pipes.close())
            raise
        started = await asyncio.to_thread(identity.started, told[0])
        running = Session(session, folder, told[0], started, hub, client)
        task = asyncio.create_task(self._watch(running, pipes, folder))
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)
        return running

    async def close(self) -> None:
        """Stop watching; the commands go on."""
        for task in tuple(self._watching):
            task.cancel()
        if self._watching:
            await asyncio.wait(self._watching)

    async def _watch(self, session: Session, pipes: Pipes, folder: str) -> None:
        code: int | None = None
        try:
            told = await pipes.told()
            code = told[0] if told is not None and told[0] >= 0 else _UNKNOWN
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        finally:
            await pipes.close()
            await session.finish(code)


def _prepare(folder: str, process: dict[str, Any]) -> None:
    for path in (folder, os.path.join(folder, "exit"), os.path.join(folder, "persist")):
        os.makedirs(path, mode=0o700, exist_ok=True)
    with open(os.path.join(folder, "process.json"), "x", encoding="utf-8") as file:
        json.dump(process, file)


def _kill_group(pid: int, start: int) -> None:
    if identity.is_alive(pid, start):
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(pid) == pid:
                os.killpg(pid, signals.SIGKILL)
    _signal(pid, start, signals.SIGKILL)


def _signal(pid: int, start: int, number: int) -> None:
    pidfd = identity.open_alive(pid, start)
    if pidfd is None:
        return
    try:
        with contextlib.suppress(ProcessLookupError):
            signals.pidfd_send_signal(pidfd, number)
    finally:
        os.close(pidfd)
