"""What happens when a container has ended: everything of the run is taken away, and one transaction says how it was."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import structlog

from jackstay_agent.containers import identity, restarting
from jackstay_agent.containers.engine import Engine, Entry, settings_of
from jackstay_agent.containers.exits import Exit
from jackstay_agent.containers.releasing import forget, release
from jackstay_agent.containers.removing import remove_locked
from jackstay_agent.containers.state import is_live
from jackstay_agent.containers.telling import tell, tell_unmounted
from jackstay_agent.errors import Error, NotFound
from jackstay_agent.metadata.containers import ContainerRow

_log = structlog.get_logger("containers")

KILLED = 137
UNKNOWN = 255


async def ended(engine: Engine, container: str, how: Exit) -> None:
    """Act on the end of *container*. Never raises: what goes wrong is logged, and tried again at the next start."""
    entry = engine.entry(container)
    try:
        async with entry.lock:
            await ended_locked(engine, entry, container, how)
    except NotFound:
        return  # removed meanwhile
    except Exception:
        _log.exception("cannot end", container=container)


async def ended_locked(engine: Engine, entry: Entry, container: str, how: Exit) -> None:
    """`ended` for a caller that holds the lock."""
    row = await engine.get(container)
    if not is_live(row.state):
        return
    engine.health_checks.stop(container)
    code, error = await asyncio.to_thread(_judge, row, how)
    wrong = await release(engine, container)
    engine.let_drain(entry)
    settings = settings_of(row)
    again = restarting.after_end(
        settings.restart,
        replace(row, stopped=int(row.stopped or entry.stopped)),
        code=code,
        finished=how.finished,
        now=time.time_ns(),
        previous=engine.restarts.previous(container),
    )
    await engine.change(
        "exited",
        container,
        state="exited",
        pid=0,
        pid_start=0,
        monitor_pid=0,
        monitor_start=0,
        exit_code=code,
        error=error or wrong,
        oom=int(how.oom),
        finished=how.finished,
        restart_at=again.at if again else 0,
        restart_count=again.count if again else row.restart_count,
        stopped=int(row.stopped or entry.stopped),
        health="",
    )
    tell_unmounted(engine, row)
    if how.oom:
        await tell(engine, entry, row, "oom")
    lasted = max(0, how.finished - row.started) // 10**9
    await tell(engine, entry, row, "die", {"exitCode": str(code), "execDuration": str(lasted)})
    try:
        await forget(engine, container)
    except Error as stuck:
        _log.error("cannot delete the bundle", container=container, error=str(stuck))
    entry.end(code)
    if again is not None:
        engine.restarts.plan(container, max(0, again.at - time.time_ns()), again.delay)
    elif settings.auto_remove and not entry.kept:
        await remove_locked(engine, entry, await engine.get(container), volumes=True, released=not wrong)


def _judge(row: ContainerRow, how: Exit) -> tuple[int, str]:
    """The exit code and the error of a run that ended so."""
    if how.code is not None:
        return how.code, ""
    if identity.is_alive(row.pid, row.pid_start):
        return KILLED, "the container's monitor (conmon) died, so the container was killed"
    return UNKNOWN, "the container ended while nobody watched, its exit code is not known"
