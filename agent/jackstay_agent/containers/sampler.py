"""What the running containers use, looked at once a second for everybody who wants to know.

Guarantees: however many follow, each container is looked at once an `INTERVAL`, and not at all while nobody follows. A
follower that is slow misses samples and costs nothing. Every sample has the use of CPU since the one before, the first
one since `FIRST` seconds before it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from jackstay_agent.containers import accounts, state
from jackstay_agent.containers.accounts import Accounts
from jackstay_agent.containers.cgroups import Cgroups
from jackstay_agent.metadata import containers as rows
from jackstay_agent.metadata.containers import Outline
from jackstay_agent.metadata.database import Database

INTERVAL = 1.0
"""Seconds between two samples."""
FIRST = 0.5
"""Seconds over which the first sample measures."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one container uses. `time` is nanoseconds since 1970, of the look."""

    time: int
    accounts: Accounts
    received: int = 0
    sent: int = 0
    cpu_percent: float = 0.0


@dataclass(frozen=True, slots=True)
class Sample:
    """All containers there are, newest first, and what those use that have processes, by id. Bytes of `memory` are the
    host's."""

    containers: tuple[Outline, ...] = ()
    used: Mapping[str, Usage] = field(default_factory=dict)
    memory: int = 0


class Sampler:
    """Takes the samples. One object an agent."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._followers = 0
        self._task: asyncio.Task[None] | None = None
        self._sample = Sample()
        self._taken = 0  # of samples, in this object's life
        self._next: asyncio.Future[None] | None = None

    @property
    def working(self) -> bool:
        """Whether containers are being looked at."""
        return self._task is not None

    async def follow(self) -> AsyncGenerator[Sample, None]:
        """Each sample from now on, or the newest when there were several meanwhile. Close it to end it."""
        self._followers += 1
        seen = self._taken
        if self._task is None:
            self._next = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._work())
        try:
            while True:
                while seen == self._taken:
                    assert self._next is not None
                    await asyncio.shield(self._next)
                seen = self._taken
                yield self._sample
        finally:
            self._followers -= 1
            if not self._followers:
                await self._stop()

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _work(self) -> None:
        try:
            containers, used = await self._look({})
            pause = FIRST
            while True:
                await asyncio.sleep(pause)
                pause = INTERVAL
                containers, used = await self._look(used)
                self._sample = Sample(containers, used, _MEMORY)
                self._taken += 1
                told, self._next = self._next, asyncio.get_running_loop().create_future()
                assert told is not None
                told.set_result(None)
        except Exception as error:
            assert self._next is not None
            self._next.set_exception(error)  # for those who follow now; the next who comes begins anew
            self._next.exception()
            self._task = None

    async def _look(self, before: Mapping[str, Usage]) -> tuple[tuple[Outline, ...], dict[str, Usage]]:
        containers = tuple(await self._database.read(rows.outlines))
        live = [container for container in containers if state.is_live(container.state)]
        return containers, await asyncio.to_thread(look, live, before)


def look(containers: Iterable[Outline], before: Mapping[str, Usage]) -> dict[str, Usage]:
    """What *containers* use, by id; those that have just ended are left out. Blocking."""
    ours, cgroups = _network_namespace("self"), Cgroups.of_host()
    counters = accounts.of_v2 if cgroups.v2 else accounts.of_v1
    found = {}
    for container in containers:
        if not cgroups.exist(container.id):
            continue
        now = time.time_ns()
        counted = counters(partial(cgroups.read, container.id))
        theirs = _network_namespace(str(container.pid))
        received, sent = (0, 0) if theirs in ("", ours) else accounts.network(_net_dev(container.pid))
        last = before.get(container.id)
        # One that came since is measured from its start.
        since = (last.accounts.cpu_ns, last.time) if last is not None else (0, container.started)
        cpu_percent = accounts.percent(counted.cpu_ns - since[0], now - since[1])
        found[container.id] = Usage(now, counted, received, sent, cpu_percent)
    return found


def _network_namespace(process: str) -> str:
    try:
        return os.readlink(f"/proc/{process}/ns/net")
    except OSError:
        return ""


def _net_dev(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/net/dev", encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


_MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
