"""Starting containers again: after their end, and with the agent.

The row says when (`restart_at`), so that an agent that dies in between goes on with the same wait. Like docker, a start
by a policy that fails is not tried again: the container is exited, with the error.
"""

from __future__ import annotations

import time

import structlog

from jackstay_agent.containers import namespaces, restarting
from jackstay_agent.containers.engine import Engine, Entry, settings_of
from jackstay_agent.containers.starting import start_locked
from jackstay_agent.errors import Error, NotFound
from jackstay_agent.metadata import containers as rows
from jackstay_agent.metadata.containers import ContainerRow

_log = structlog.get_logger("containers")


async def again(engine: Engine, container: str) -> None:
    """Start *container* if it still waits for that. Never raises: what goes wrong is in its row, and logged."""
    entry = engine.entry(container)
    try:
        for other in namespaces.others(settings_of(await engine.get(container))):
            await again(engine, other)  # what it joins comes first, if that waits too
        async with entry.lock:
            row = await engine.get(container)
            if row.restart_at and row.state == "exited":
                await start_locked(engine, entry, container, by_policy=True)
    except NotFound:
        return  # removed meanwhile
    except Error as error:
        _log.error("cannot restart", container=container, error=error.message)
    except Exception:
        _log.exception("cannot restart", container=container)


async def give_up_locked(engine: Engine, entry: Entry, row: ContainerRow) -> None:
    """A user stops *row*'s container while it waits for its start: it is not started."""
    engine.restarts.cancel(row.id)
    await engine.change("not_restarted", row.id, restart_at=0, stopped=1)
    entry.end(row.exit_code or 0)


async def mark_locked(engine: Engine, container: str) -> None:
    """Note that *container*, which does not run, is to be started if its policy wants that at the agent's start."""
    try:
        row = await engine.get(container)
    except NotFound:
        return  # removed with its end
    if row.state == "exited" and not row.restart_at and restarting.at_start(settings_of(row).restart, row):
        await engine.change("to_be_restarted", row.id, restart_at=time.time_ns(), restart_count=0, stopped=0)


async def plan_all(engine: Engine) -> None:
    """Plan every start that the rows say is to come; for a wait that was begun before, what is left of it."""
    for row in await engine.database.read(rows.every):
        plan(engine, row)


def plan(engine: Engine, row: ContainerRow) -> None:
    """`plan_all` for one container."""
    if row.restart_at and row.state == "exited":
        delay = min(max(row.restart_at - row.finished, restarting.FIRST), restarting.LONGEST)
        engine.restarts.plan(row.id, restarting.wait(row, time.time_ns()), delay)
