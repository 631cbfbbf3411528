"""The health checks of an agent's containers: when each is probed next, and what is known of each.

A container that runs and has a check has one task, which sleeps; there is no process between two probes. What is known
is kept beside the container's log too, for an agent that comes after this one.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from jackstay_agent import faults
from jackstay_agent.containers import health
from jackstay_agent.containers.health import Health, Result
from jackstay_agent.containers.layout import Layout
from jackstay_agent.containers.process import ProcessPlan
from jackstay_oci.image_config import Healthcheck

_log = structlog.get_logger("containers")

Probe = Callable[[str, tuple[str, ...], int], Awaitable[Result]]
"""Runs a command in a container for at most so many nanoseconds, see `probe.probe`."""

Changed = Callable[[str, str], Awaitable[None]]
"""Told that a container's status is another."""

Unhealthy = Callable[[str], Awaitable[None]]
"""Told of a container after every probe that finds it unhealthy; cancelled when it is to be probed no more."""


class HealthChecks:
    """The checks of one agent's containers."""

    def __init__(self, layout: Layout, probe: Probe, changed: Changed, unhealthy: Unhealthy) -> None:
        self._layout = layout
        self._probe = probe
        self._changed = changed
        self._unhealthy = unhealthy
        self._known: dict[str, Health] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def of(self, container: str) -> Health | None:
        """What is known of *container*; None when it never had a check."""
        if container not in self._known:
            read = await asyncio.to_thread(_read, self._layout.health(container))
            if read is None:
                return None
            self._known.setdefault(container, read)
        return self._known[container]

    async def begin(self, container: str, plan: ProcessPlan, started: int) -> None:
        """*container* runs since *started*: probe it, if *plan* says how."""
        if health.command(plan):
            self._known[container] = health.begun(await self.of(container))
            self._watch(container, plan, started)

    async def resume(self, container: str, plan: ProcessPlan, started: int, status: str) -> None:
        """Go on with *container*, which runs since *started* and had *status*: after a pause, or an agent's end."""
        if health.command(plan):
            known = await self.of(container) or Health()
            self._known[container] = msgspec.structs.replace(known, status=status or known.status)
            self._watch(container, plan, started)

    def stop(self, container: str) -> None:
        """Probe *container* no more; what is known stays."""
        task = self._tasks.pop(container, None)
        if task is not None:
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def forget(self, container: str) -> None:
        """*container* is gone."""
        self.stop(container)
        self._known.pop(container, None)

    async def close(self) -> None:
        """Stop everything; probes under way are ended."""
        for container in tuple(self._tasks):
            self.stop(container)
        if self._ending:
            await asyncio.wait(self._ending, timeout=10)

    def _watch(self, container: str, plan: ProcessPlan, started: int) -> None:
        self.stop(container)
        assert plan.healthcheck is not None
        self._tasks[container] = asyncio.create_task(
            self._check(container, health.command(plan), plan.healthcheck, started)
        )

    async def _check(self, container: str, command: tuple[str, ...], asked: Healthcheck, started: int) -> None:
        told = self._known[container].status
        while True:
            known = self._known[container]
            await asyncio.sleep(health.pause(known, asked, started, time.time_ns()) / 10**9)
            try:
                result = await self._probe(container, command, health.timeout(asked))
                known = self._known[container] = health.judged(known, result, asked, started)
                if known.status != told:
                    await self._changed(container, known.status)
                    told = known.status
                await asyncio.to_thread(_write, self._layout.health(container), known)
                if known.status == "unhealthy":
                    await self._unhealthy(container)
            except FileNotFoundError:
                continue  # the container's folder is going
            except Exception as error:
                # A full disk, say. What could not be told is told after the next probe.
                _log.error("cannot check the health", container=container, error=repr(error))


def _write(path: str, known: Health) -> None:
    new = f"{path}.new"
    with open(new, "wb") as file:
        file.write(msgspec.json.encode(known))
    faults.point("containers.health.written")
    os.replace(new, path)


def _read(path: str) -> Health | None:
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=Health)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        return Health()  # half written when the machine lost its power
