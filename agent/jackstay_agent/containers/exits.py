"""Learns that containers end.

A monitor leaves the exit code in the exits folder and then ends itself. Both are watched: the folder with inotify, set
up before anything is looked for, and the monitor with a pidfd, since one that is killed leaves no file. Guarantees:
for each `watch` the callback is called once, unless `forget` or `close` comes first. Leaves to the callback what to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from jackstay_agent.containers import identity
from jackstay_agent.containers.layout import Layout
from jackstay_agent.kernel.inotify import IN_MOVED_TO, IN_Q_OVERFLOW, Inotify

_log = structlog.get_logger("containers")

_PAUSE = 1.0
"""Seconds before an exit file that could not be read is read again."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container ended. `code` is None when its monitor died and nobody knows."""

    code: int | None
    finished: int  # nanoseconds since 1970
    oom: bool


Report = Callable[[str, Exit], Awaitable[None]]


class Exits:
    """Watches the monitors of one agent's containers and calls *report* for each end."""

    def __init__(self, layout: Layout, report: Report) -> None:
        self._layout = layout
        self._report = report
        self._inotify: Inotify | None = None
        self._listener: asyncio.Task[None] | None = None
        self._watched: dict[str, int | None] = {}  # container: pidfd of its monitor, or None
        self._reports: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to listen; before any exit file is looked for."""
        await asyncio.to_thread(os.makedirs, self._layout.exits, mode=0o700, exist_ok=True)
        self._inotify = Inotify()
        self._inotify.add(self._layout.exits, IN_MOVED_TO)
        self._listener = asyncio.create_task(self._listen(self._inotify))

    async def watch(self, container: str, monitor_pid: int, monitor_start: int) -> None:
        """Report the end of *container*, also when it has ended already."""
        pidfd = await asyncio.to_thread(identity.open_alive, monitor_pid, monitor_start)
        self._watched[container] = pidfd
        if pidfd is not None:
            asyncio.get_running_loop().add_reader(pidfd, self._monitor_ended, container)
        ended = await asyncio.to_thread(read_exit, self._layout, container)
        if ended is not None:
            self._end(container, ended)
        elif pidfd is None:
            self._end(container, Exit(None, time.time_ns(), False))

    def watches(self, container: str) -> bool:
        """Whether the end of *container* is still to be reported."""
        return container in self._watched

    def forget(self, container: str) -> None:
        """Report nothing of *container* any more."""
        pidfd = self._watched.pop(container, None)
        if pidfd is not None:
            asyncio.get_running_loop().remove_reader(pidfd)
            os.close(pidfd)

    async def settle(self) -> None:
        """Wait until what has been reported so far is dealt with."""
        if self._reports:
            await asyncio.wait(tuple(self._reports))

    async def close(self) -> None:
        """End listening; reports under way are finished."""
        for container in tuple(self._watched):
            self.forget(container)
        if self._listener is not None:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
        if self._inotify is not None:
            self._inotify.close()
        if self._reports:
            await asyncio.wait(self._reports, timeout=30)

    async def _listen(self, inotify: Inotify) -> None:
        while True:
            for event in await inotify.wait():
                names = list(self._watched) if event.mask & IN_Q_OVERFLOW else [event.name]
                for name in names:
                    if name in self._watched:
                        await self._look(name)

    async def _look(self, container: str) -> None:
        try:
            ended = await asyncio.to_thread(read_exit, self._layout, container)
        except OSError as error:  # too many open files, say: its monitor's end is still to come
            _log.warning("an exit file cannot be read", container=container, error=str(error))
            return
        if ended is not None:
            self._end(container, ended)

    def _monitor_ended(self, container: str) -> None:
        pidfd = self._watched.get(container)
        if pidfd is not None:
            asyncio.get_running_loop().remove_reader(pidfd)
            self._keep(self._after_monitor(container))

    async def _after_monitor(self, container: str) -> None:
        # The file is written before the monitor ends, so now it is there or never will be.
        while container in self._watched:
            try:
                ended = await asyncio.to_thread(read_exit, self._layout, container)
            except OSError as error:
                _log.warning("an exit file cannot be read", container=container, error=str(error))
                await asyncio.sleep(_PAUSE)
            else:
                self._end(container, ended or Exit(None, time.time_ns(), False))

    def _end(self, container: str, ended: Exit) -> None:
        if container in self._watched:
            self.forget(container)
            self._keep(self._report(container, ended))

    def _keep(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)


def read_exit(layout: Layout, container: str) -> Exit | None:
    """What the exit file of *container* says; None while there is none. Blocking.

    The time is the file's change time, as conmon's users have it.
    """
    try:
        with open(layout.exit_file(container), "rb") as file:
            status = os.fstat(file.fileno())
            text = file.read(32)
    except FileNotFoundError:
        return None
    oom = any(
        os.path.exists(os.path.join(folder, "oom")) for folder in (layout.persist(container), layout.bundle(container))
    )
    try:
        return Exit(int(text), status.st_ctime_ns, oom)
    except ValueError:
        return Exit(None, status.st_ctime_ns, oom)
