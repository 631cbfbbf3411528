"""What happens when a container has ended: everything of the run is taken away, and one transaction says how it was.

Guarantees: where the transaction fails, as on a full disk, what the run held is let go all the same, and the rest is
done as soon as it can be.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace

import structlog

from jackstay_agent.containers import identity, restarting
from jackstay_agent.containers.engine import Engine, Entry, settings_of
from jackstay_agent.containers.exits import Exit
from jackstay_agent.containers.releasing import forget, release, release_later
from jackstay_agent.containers.removing import remove_locked
from jackstay_agent.containers.state import is_live
from jackstay_agent.containers.telling import tell, tell_unmounted
from jackstay_agent.errors import Error, NotFound
from jackstay_agent.metadata.containers import ContainerRow

_log = structlog.get_logger("containers")

KILLED = 137
UNKNOWN = 255


@dataclass(frozen=True, slots=True)
class _End:
    """How a run ended: which one it was, and what its row is to say."""

    started: int
    how: Exit
    code: int
    error: str


async def ended(engine: Engine, container: str, how: Exit) -> None:
    """Act on the end of *container*. Never raises: what goes wrong is logged, and tried again."""
    entry = engine.entry(container)
    try:
        async with entry.lock:
            await ended_locked(engine, entry, container, how)
    except NotFound:
        return  # removed meanwhile
    except Exception:
        _log.exception("cannot end", container=container)
        engine.retries.keep(f"end {container}", lambda: ended_again(engine, container, how))


async def ended_again(engine: Engine, container: str, how: Exit) -> None:
    """`ended`, but what goes wrong is raised."""
    entry = engine.entry(container)
    async with entry.lock:
        await ended_locked(engine, entry, container, how)


async def ended_locked(engine: Engine, entry: Entry, container: str, how: Exit) -> None:
    """`ended` for a caller that holds the lock. Raises when not even the row can be read.

    The row may still call the container living when this returns, if it cannot be written: on a full disk. What the run
    held is let go nevertheless, and the row is written as soon as that is possible.
    """
    row = await engine.get(container)
    if not is_live(row.state):
        return
    engine.health_checks.stop(container)
    # Once: what is alive now is killed by what follows.
    end = _End(row.started, how, *await asyncio.to_thread(_judge, row, how))
    try:
        await _end_run(engine, entry, container, end)
    except NotFound:
        raise
    except Exception as error:
        _log.error("cannot write that a container has ended", container=container, error=str(error) or repr(error))

        async def again() -> None:
            entry = engine.entry(container)
            async with entry.lock:
                await _end_run(engine, entry, container, end)

        engine.retries.keep(f"end {container}", again)


async def _end_run(engine: Engine, entry: Entry, container: str, end: _End) -> None:
    row = await engine.get(container)
    if row.started != end.started:
        return  # it runs anew
    settings = settings_of(row)
    if not is_live(row.state):  # as an earlier try has written
        if settings.auto_remove and not entry.kept and not row.restart_at:
            await remove_locked(engine, entry, row, volumes=True)
        return
    wrong = await release(engine, container)
    engine.let_drain(entry)
    how, stopped = end.how, int(row.stopped or entry.stopped)
    again = restarting.after_end(
        settings.restart,
        replace(row, stopped=stopped),
        code=end.code,
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
        exit_code=end.code,
        error=end.error or wrong,
        oom=int(how.oom),
        finished=how.finished,
        restart_at=again.at if again else 0,
        restart_count=again.count if again else row.restart_count,
        stopped=stopped,
        health="",
    )
    try:
        await _tell(engine, entry, row, end)
        if wrong:
            release_later(engine, container)
        else:
            await forget(engine, container)
    except Error as stuck:
        _log.error("cannot delete the bundle", container=container, error=str(stuck))
    finally:
        entry.end(end.code)
    if again is not None:
        engine.restarts.plan(container, max(0, again.at - time.time_ns()), again.delay)
    elif settings.auto_remove and not entry.kept:
        await remove_locked(engine, entry, await engine.get(container), volumes=True, released=not wrong)


async def _tell(engine: Engine, entry: Entry, row: ContainerRow, end: _End) -> None:
    tell_unmounted(engine, row)
    if end.how.oom:
        await tell(engine, entry, row, "oom")
    lasted = max(0, end.how.finished - row.started) // 10**9
    await tell(engine, entry, row, "die", {"exitCode": str(end.code), "execDuration": str(lasted)})


def _judge(row: ContainerRow, how: Exit) -> tuple[int, str]:
    """The exit code and the error of a run that ended so."""
    if how.code is not None:
        return how.code, ""
    if identity.is_alive(row.pid, row.pid_start):
        return KILLED, "the container's monitor (conmon) died, so the container was killed"
    return UNKNOWN, "the container ended while nobody watched, its exit code is not known"
