"""stop, kill, restart, pause, unpause: what is done to a process that runs."""

from __future__ import annotations

import asyncio
import signal as signals

from jackstay_agent.containers import state
from jackstay_agent.containers.engine import Engine, Entry, settings_of
from jackstay_agent.containers.restarter import give_up_locked
from jackstay_agent.containers.starting import start_locked
from jackstay_agent.containers.telling import tell
from jackstay_agent.errors import RuntimeFailed
from jackstay_agent.metadata.containers import ContainerRow
from jackstay_oci import signals as names

DEFAULT_TIMEOUT = 10
"""Seconds between the stop signal and SIGKILL, as docker has it."""

_KILL_SECONDS = 30


async def stop(engine: Engine, text: str, timeout: int | None, signal: str = "") -> str:
    """Stop the container that *text* means: *signal* ("" for its stop signal), then after *timeout* seconds SIGKILL.

    Its id. *timeout* None is the container's own, else `DEFAULT_TIMEOUT`. No effect on one that does not run; one that
    waits to be started again waits no more. Returns when its row says that it ended. Raises `NotFound`,
    `InvalidArgument` for the signal, `RuntimeFailed` when even SIGKILL does not end it.
    """
    number = names.parse(signal) if signal else None
    row = await engine.find(text)
    await _stop(engine, row.id, timeout, number)
    return row.id


async def restart(engine: Engine, text: str, timeout: int | None, signal: str = "") -> str:
    """`stop`, then start; its id. Raises what both raise."""
    number = names.parse(signal) if signal else None
    row = await engine.find(text)
    entry = engine.entry(row.id)
    entry.kept = True
    try:
        await _stop(engine, row.id, timeout, number)
    finally:
        entry.kept = False
    async with entry.lock:
        await start_locked(engine, entry, row.id)
        await tell(engine, entry, row, "restart")
    return row.id


async def kill(engine: Engine, text: str, signal: str) -> str:
    """Send *signal* ("" for KILL) to the container's first process; its id.

    SIGKILL and the container's stop signal count as a stop: its policy does not start it again. In docker any signal
    does, where no stop signal is set; but a reload by SIGHUP must not cost a container its policy. Raises `NotFound`,
    `InvalidArgument`, `WrongState` when it does not run.
    """
    number = names.parse(signal or "KILL")
    found = await engine.find(text)
    entry = engine.entry(found.id)
    async with entry.lock:
        row = await engine.get(found.id)
        if state.of(row) == "restarting":
            await give_up_locked(engine, entry, row)
            return row.id
        state.check_can_signal(row.state, row.id)
        if number in (signals.SIGKILL, (await engine.plan(row)).stop_number):
            await _note_stop(engine, entry, row)
        await _signal(engine, row, number)
        over = entry.over
    if number == signals.SIGKILL:
        await _within(over, _KILL_SECONDS)
    return row.id


async def pause(engine: Engine, text: str) -> None:
    """Freeze the container. Raises `NotFound`, `WrongState`."""
    found = await engine.find(text)
    async with engine.entry(found.id).lock:
        row = await engine.get(found.id)
        state.check_can_pause(state.of(row), row.id)
        await engine.runtime.pause(row.id)
        engine.health_checks.stop(row.id)
        await engine.change("paused", row.id, state="paused")
        await tell(engine, engine.entry(row.id), row, "pause")


async def unpause(engine: Engine, text: str) -> None:
    """Let the container go on. Raises `NotFound`, `WrongState`."""
    found = await engine.find(text)
    async with engine.entry(found.id).lock:
        row = await engine.get(found.id)
        state.check_can_unpause(row.state, row.id)
        await engine.runtime.resume(row.id)
        await engine.change("unpaused", row.id, state="running")
        await engine.health_checks.resume(row.id, await engine.plan(row), row.started, row.health)
        await tell(engine, engine.entry(row.id), row, "unpause")


async def _stop(engine: Engine, container: str, timeout: int | None, number: int | None) -> None:
    entry = engine.entry(container)
    async with entry.lock:
        row = await engine.get(container)
        if state.of(row) == "restarting":
            await give_up_locked(engine, entry, row)
            await tell(engine, entry, row, "stop")
            return
        if not state.check_can_stop(row.state):
            return
        over = entry.over
        settings = settings_of(row)
        await _note_stop(engine, entry, row)
        if timeout is None:
            timeout = settings.stop_timeout if settings.stop_timeout is not None else DEFAULT_TIMEOUT
        if timeout > 0:
            await _signal(engine, row, number or (await engine.plan(row)).stop_number)
    if timeout > 0 and await _within(over, timeout):
        await tell(engine, entry, row, "stop")
        return
    async with entry.lock:
        if over.is_set():
            await tell(engine, entry, row, "stop")
            return
        row = await engine.get(container)
        if state.is_live(row.state):
            await _signal(engine, row, signals.SIGKILL)
    if not await _within(over, _KILL_SECONDS):
        raise RuntimeFailed(
            f"container {container} did not end within {_KILL_SECONDS} s of SIGKILL",
            hint="a process in uninterruptible sleep cannot be killed; see the host's kernel log",
        )
    await tell(engine, entry, row, "stop")


async def _note_stop(engine: Engine, entry: Entry, row: ContainerRow) -> None:
    """The run under way ends by a user's will. At once in the row where that matters should the agent die meanwhile."""
    entry.stopped = True
    if settings_of(row).restart.name != "no" and not row.stopped:
        await engine.change("stopping", row.id, stopped=1)


async def _signal(engine: Engine, row: ContainerRow, number: int) -> None:
    await engine.runtime.kill(row.id, number)
    await tell(engine, engine.entry(row.id), row, "kill", {"signal": str(int(number))})
    if row.state == "paused" and number in (signals.SIGKILL, signals.SIGTERM):
        # A frozen process does not even die.
        await engine.runtime.resume(row.id)
        await engine.change("unpaused", row.id, state="running")


async def _within(over: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await over.wait()
    except TimeoutError:
        return False
    return True
