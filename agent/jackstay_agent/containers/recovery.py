"""The agent's start: containers are found again, and what a death of the agent or the host left half done is finished.

Order: exits are listened for before anything is looked at, so that none is missed. A row that says running is believed
if its monitor lives; if not, its exit file tells, or nobody knows. What has no row is rubbish and removed, but only
below the agent's own folders.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import time

import structlog

from jackstay_agent import faults
from jackstay_agent.containers import health, identity, log_options, restarter
from jackstay_agent.containers.ending import UNKNOWN, ended_locked
from jackstay_agent.containers.engine import Engine, Entry, settings_of
from jackstay_agent.containers.exits import Exit, read_exit
from jackstay_agent.containers.layout import Layout
from jackstay_agent.containers.releasing import delete_bundle, forget, release, release_later
from jackstay_agent.containers.removing import remove_locked
from jackstay_agent.containers.telling import tell
from jackstay_agent.errors import Error
from jackstay_agent.kernel.boot import boot_id
from jackstay_agent.kernel.threads import finish
from jackstay_agent.metadata import containers as rows
from jackstay_agent.metadata.containers import ContainerRow

_log = structlog.get_logger("containers")

_AT_ONCE = 8


async def recover(engine: Engine) -> None:
    """Find every container again. One that cannot be is logged, does not stop the others, and is
    tried again."""
    rebooted = await finish(_prepare, engine.layout)
    await engine.exits.open()
    every = await engine.database.read(rows.every)
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(row: ContainerRow) -> None:
        entry = engine.entry(row.id)
        async with turns, entry.lock:
            try:
                await _settle(engine, entry, row, rebooted)
            except Exception as error:  # also one of the database's that is no `Error`
                _log.error("cannot recover", container=row.id, error=str(error) or repr(error))
                engine.retries.keep(f"recover {row.id}", lambda: _settle_later(engine, row.id, rebooted))

    await asyncio.gather(*(one(row) for row in every))
    await _sweep(engine, {row.id for row in await engine.database.read(rows.every)})
    await engine.exits.settle()
    await finish(_remember_boot, engine.layout)


async def _settle(engine: Engine, entry: Entry, row: ContainerRow, rebooted: bool) -> None:
    await _recover_one(engine, entry, row, rebooted)
    await restarter.mark_locked(engine, row.id)


async def _settle_later(engine: Engine, container: str, rebooted: bool) -> None:
    """What could not be done at the agent's start, as on a full disk, unless the container has been started anew."""
    entry = engine.entry(container)
    async with entry.lock:
        if not engine.exits.watches(container):
            await _settle(engine, entry, await engine.get(container), rebooted)
            restarter.plan(engine, await engine.get(container))


async def _recover_one(engine: Engine, entry: Entry, row: ContainerRow, rebooted: bool) -> None:
    if row.state == "starting":
        row = await _recover_starting(engine, row, rebooted)
    if row.state in ("running", "paused"):
        await _recover_live(engine, entry, row, rebooted)
    elif row.state in ("removing", "dead"):
        await remove_locked(engine, entry, row, volumes=settings_of(row).auto_remove)
    else:
        if await asyncio.to_thread(os.path.exists, engine.layout.bundle(row.id)):
            await release(engine, row.id)
        await forget(engine, row.id)
        if settings_of(row).auto_remove and row.state == "exited":
            await remove_locked(engine, entry, row, volumes=True)


async def _recover_live(engine: Engine, entry: Entry, row: ContainerRow, rebooted: bool) -> None:
    if rebooted:
        if await release(engine, row.id):
            release_later(engine, row.id)
        await engine.change(
            "rebooted",
            row.id,
            state="exited",
            pid=0,
            pid_start=0,
            monitor_pid=0,
            monitor_start=0,
            exit_code=UNKNOWN,
            error="the host was restarted while the container ran",
            finished=time.time_ns(),
            health="",
        )
        await forget(engine, row.id)
        if settings_of(row).auto_remove:
            await remove_locked(engine, entry, await engine.get(row.id), volumes=True)
        return
    # In this order: the exit file is written before the monitor ends.
    watched = await asyncio.to_thread(identity.is_alive, row.monitor_pid, row.monitor_start)
    how = await asyncio.to_thread(read_exit, engine.layout, row.id)
    if how is None and not watched:
        how = Exit(None, time.time_ns(), False)
    if how is not None:
        await ended_locked(engine, entry, row.id, how)
        return
    known = await engine.runtime.state(row.id)
    if known is not None and known.status == "paused" and row.state == "running":
        await engine.runtime.resume(row.id)  # a commit froze it, or a pause that nobody was told of
    elif known is not None and known.status == "running" and row.state == "paused":
        await engine.change("unpaused", row.id, state="running")
        row = await engine.get(row.id)
    if row.state == "running":
        await _recover_health(engine, row)
    await engine.exits.watch(row.id, row.monitor_pid, row.monitor_start)
    engine.log_rotation.watch(row.id, log_options.parse(settings_of(row).log_driver, settings_of(row).log_opts))


async def _recover_health(engine: Engine, row: ContainerRow) -> None:
    """Go on with the checks of *row*'s container; one whose start the agent did not see the end of begins with them."""
    plan = await engine.plan(row)
    if row.health:
        await engine.health_checks.resume(row.id, plan, row.started, row.health)
    elif health.command(plan):
        await engine.change("health", row.id, health="starting")
        await engine.health_checks.begin(row.id, plan, row.started)


async def _recover_starting(engine: Engine, row: ContainerRow, rebooted: bool) -> ContainerRow:
    """Settle a start that the agent died in: it counts when the process was let go, else it is undone."""
    if not rebooted:
        found = await asyncio.to_thread(_adopt, engine.layout, row.id)
        known = await engine.runtime.state(row.id)
        ran = await asyncio.to_thread(read_exit, engine.layout, row.id) is not None
        if ran or (found["monitor_start"] and known is not None and known.status in ("running", "paused")):
            await engine.change(
                "adopted",
                row.id,
                state="running",
                started=time.time_ns(),
                finished=0,
                exit_code=None,
                oom=0,
                restart_at=0,
                **found,
            )
            await tell(engine, engine.entry(row.id), row, "start")  # the agent died before it could
            return await engine.get(row.id)
    await engine.change(
        "unstarted",
        row.id,
        state="exited" if row.finished else "created",
        error="the agent was restarted while the container started",
    )
    return await engine.get(row.id)


def _adopt(layout: Layout, container: str) -> dict[str, int]:
    pid = identity.read_pid(layout.pid_file(container))
    monitor = identity.read_pid(layout.monitor_pid_file(container))
    return {
        "pid": pid,
        "pid_start": identity.started(pid),
        "monitor_pid": monitor,
        "monitor_start": identity.started(monitor),
    }


async def _sweep(engine: Engine, known: set[str]) -> None:
    """Remove bundles, logs and exit files of containers that have no row."""
    layout = engine.layout
    for container in await asyncio.to_thread(_listed, layout.bundles):
        if container not in known:
            _log.info("removing what has no row", container=container)
            await release(engine, container)
            try:
                await finish(delete_bundle, layout.bundle(container))
            except Error as error:
                _log.error("cannot delete the bundle", container=container, error=str(error))
    for container in await asyncio.to_thread(_listed, layout.logs):
        if container not in known:
            await finish(shutil.rmtree, layout.lasting(container), ignore_errors=True)
    for name in await asyncio.to_thread(_listed, layout.exits):
        if name not in known:
            await asyncio.to_thread(os.unlink, os.path.join(layout.exits, name))


def _prepare(layout: Layout) -> bool:
    """Make the folders; whether the host was restarted since the agent's last start."""
    for folder in (layout.run, layout.state):
        os.makedirs(folder, mode=0o750, exist_ok=True)
    for folder in (layout.bundles, layout.exits, layout.runtime, layout.logs):
        os.makedirs(folder, mode=0o700, exist_ok=True)
    try:
        with open(layout.boot_id, encoding="ascii") as file:
            return file.read().strip() != boot_id()
    except FileNotFoundError:
        return False


def _remember_boot(layout: Layout) -> None:
    """Note this boot. Done last, so that a recovery after a restart of the host that is cut is done again as one; and
    whole or not at all, since a file that names no boot would end every container.

    On a full disk the agent must come up, or nothing could be removed from it: what is there already is not written
    again, and an id of the same length is written over the old one, which takes no room.
    """
    boot = boot_id()
    with contextlib.suppress(FileNotFoundError), open(layout.boot_id, encoding="ascii") as file:
        if file.read() == boot:
            return
    new = f"{layout.boot_id}.new"
    try:
        with open(new, "w", encoding="ascii") as file:
            file.write(boot)
            file.flush()
            os.fsync(file.fileno())
        faults.point("containers.recovery.boot_id")
        os.replace(new, layout.boot_id)
        faults.point("containers.recovery.boot_id_renamed")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.unlink(new)
        with open(layout.boot_id, "r+", encoding="ascii") as file:
            file.write(boot)
            file.flush()
            os.fsync(file.fileno())


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
