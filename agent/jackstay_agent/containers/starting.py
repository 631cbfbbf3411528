"""start: from a row to a running process.

Guarantees: when `start` returns, the container runs and its row says so, or it ran and has ended already; when it
raises, everything is undone (processes, network, mount, bundle), and the row is back in its former state with the
error and the exit code that docker gives it. Three transactions: starting, the network's, running. Links are made and
the monitor comes up while the bundle is filled and the runtime makes the container; it is not started before they are.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass
from typing import Any

import structlog

from jackstay_agent import faults
from jackstay_agent.containers import (
    device_mappings,
    health,
    host_facts,
    log_options,
    mapping,
    mounting,
    namespaces,
    own_files,
    runtime,
    secret_uses,
    spec,
    state,
    sysctls,
    user_namespaces,
    users,
)
from jackstay_agent.containers.cdi import resolve as resolve_cdi
from jackstay_agent.containers.creating import CGROUP
from jackstay_agent.containers.engine import Engine, Entry, settings_of
from jackstay_agent.containers.joining import Joined, joined
from jackstay_agent.containers.monitor import Streams, Waiting
from jackstay_agent.containers.process import ProcessPlan
from jackstay_agent.containers.releasing import forget, release, release_later
from jackstay_agent.containers.removing import remove_locked
from jackstay_agent.containers.settings import Port, Settings
from jackstay_agent.containers.telling import tell, tell_mounted, tell_unmounted
from jackstay_agent.errors import Error
from jackstay_agent.kernel.id_maps import IdRange
from jackstay_agent.kernel.threads import finish
from jackstay_agent.metadata.containers import ContainerRow
from jackstay_agent.networks.attachment import Attachment

_log = structlog.get_logger("containers")


@dataclass(slots=True)
class _Run:
    """What a start works on, and how far it has come."""

    row: ContainerRow
    settings: Settings
    plan: ProcessPlan
    mounted: bool = False  # it was told that the volumes are


@dataclass(frozen=True, slots=True)
class _Beside:
    """What goes on beside the rest of a start: the monitor comes up, the links of the network are made."""

    monitor: Waiting
    connecting: asyncio.Task[Attachment]
    early: asyncio.Future[Attachment]

    async def attachment(self, *, whole: bool) -> Attachment:
        """What is known of the connection once there is a network namespace for the runtime to join; with *whole* once
        it has its links, too. Raises what `Networks.connect` raises."""
        if not whole:
            await asyncio.wait([self.connecting, self.early], return_when=asyncio.FIRST_COMPLETED)
            if self.early.done():
                return self.early.result()
        return await self.connecting


@dataclass(frozen=True, slots=True)
class _Place:
    """What has been made for it."""

    attachment: Attachment
    sources: mapping.Sources
    joined: Joined
    user: users.ResolvedUser
    userns: str
    ids: IdRange | None
    secrets: secret_uses.Given


async def start(engine: Engine, text: str) -> str:
    """Start the container that *text* means; its id. No effect on one that runs.

    Raises `NotFound`, `WrongState`, `PortTaken`, `CommandNotFound`, `CommandNotExecutable`, `InvalidArgument`,
    `RuntimeFailed`.
    """
    found = await engine.find(text)
    entry = engine.entry(found.id)
    async with entry.lock:
        await start_locked(engine, entry, found.id)
    return found.id


async def start_locked(engine: Engine, entry: Entry, container: str, *, by_policy: bool = False) -> None:
    """`start` for a caller that holds the container's lock. *by_policy*: the container waited for it, nobody asked."""
    row = await engine.get(container)
    if not state.can_start(row.state if by_policy else state.of(row), row.id):
        return
    run = _Run(row, settings_of(row), await engine.plan(row))
    entry.labels = run.plan.labels
    if by_policy:
        await engine.change("starting", row.id, state="starting", error="")
    else:
        engine.restarts.cancel(row.id)
        await engine.change("starting", row.id, state="starting", error="", restart_count=0, stopped=0)
    try:
        await _run(engine, entry, run)
    except BaseException as error:
        await asyncio.shield(_undo(engine, entry, run, error))
        raise
    await tell(engine, entry, row, "start")


async def _run(engine: Engine, entry: Entry, run: _Run) -> None:
    layout, container = engine.layout, run.row.id
    bundle, rootfs = layout.bundle(container), layout.rootfs(container)
    await forget(engine, container)  # what an earlier run may have left
    await finish(_make_bundle, bundle, rootfs)
    ids = await mapping.ids_of(engine, container) if user_namespaces.size(run.settings) else None
    userns = await mapping.make_namespace(engine, container, ids) if ids is not None else ""
    early: asyncio.Future[Attachment] = asyncio.get_running_loop().create_future()
    connecting = asyncio.create_task(
        engine.networks.connect(
            container, run.settings, published(run.settings, run.plan), userns=userns, early=early.set_result
        )
    )
    try:
        log = log_options.parse(run.settings.log_driver, run.settings.log_opts)
        streams = streams_of(run.settings)
        async with engine.monitors.waiting(container, run.row.name, streams, log=log.kept) as monitor:
            await _fill(engine, entry, run, _Beside(monitor, connecting, early), userns, ids)
        engine.log_rotation.watch(container, log)
    finally:
        await asyncio.wait([connecting])  # before anything is undone
        if not connecting.cancelled():
            connecting.exception()  # taken: what failed beside it is told


async def _fill(engine: Engine, entry: Entry, run: _Run, beside: _Beside, userns: str, ids: IdRange | None) -> None:
    """Mount what the container sees while it is being connected, and make it run."""
    layout, container = engine.layout, run.row.id
    bundle, rootfs = layout.bundle(container), layout.rootfs(container)
    await engine.snapshotter.mount(run.row.snapshot, rootfs)
    async with (
        mounting.mounted(engine, container, run.settings, rootfs) as mounts,
        joined(engine, container, run.settings) as others,
    ):
        tell_mounted(engine, run.row)
        run.mounted = True
        user = await users.resolve(engine.jobs, rootfs, run.plan.user, run.settings.group_add, folder=run.plan.cwd)
        attachment = await beside.attachment(whole=sysctls.of_network(run.settings.sysctls))
        if not namespaces.other(run.settings.network):
            await finish(own_files.write, bundle, run.settings, attachment)
        files = {target: os.path.join(others.bundle or bundle, name) for target, name in own_files.FILES.items()}
        secrets = await secret_uses.give(engine, container, run.settings, ids)
        plain = mapping.Sources(rootfs=rootfs, mounts=(*mounts, *secrets.mounts), files=files, shm=others.shm)
        async with mapping.shown(engine, run.row, ids, plain) as sources:
            place = _Place(attachment, sources, others, user, userns, ids, secrets)
            await _create(engine, entry, run, place, beside)


async def _create(engine: Engine, entry: Entry, run: _Run, place: _Place, beside: _Beside) -> None:
    container = run.row.id
    bundle, sources = engine.layout.bundle(container), place.sources
    context = spec.SpecContext(
        id=container,
        rootfs=sources.rootfs,
        hostname=run.settings.hostname,
        netns_path=place.attachment.netns_path,
        cgroups_path=f"{CGROUP}/{container}",
        facts=await asyncio.to_thread(host_facts.read),
        devices=await asyncio.to_thread(device_mappings.resolve, run.settings.devices),
        edits=await asyncio.to_thread(resolve_cdi, run.settings.cdi_devices),
        user=place.user,
        mounts=sources.mounts,
        files=sources.files,
        joined=place.joined.namespaces,
        shm=sources.shm,
        userns=place.userns,
        ids=place.ids,
        env=place.secrets.env,
        console=entry.console,
    )
    await finish(_write_spec, bundle, spec.build(run.settings, run.plan, context))
    with runtime.naming(run.plan.args[0]):
        monitored = await beside.monitor.create()
        await beside.connecting
        if entry.hub is not None and entry.hub.has_clients:
            await entry.hub.open()
        started = time.time_ns()
        await engine.runtime.start(container)
        faults.point("containers.start.started")
    entry.begin()
    await engine.change(
        "running",
        container,
        state="running",
        pid=monitored.pid,
        pid_start=monitored.pid_start,
        monitor_pid=monitored.monitor_pid,
        monitor_start=monitored.monitor_start,
        exit_code=None,
        error="",
        oom=0,
        started=started,
        finished=0,
        restart_at=0,
        health="starting" if health.command(run.plan) else "",
    )
    await engine.health_checks.begin(container, run.plan, started)
    await engine.exits.watch(container, monitored.monitor_pid, monitored.monitor_start)


async def _undo(engine: Engine, entry: Entry, run: _Run, error: BaseException) -> None:
    container = run.row.id
    engine.exits.forget(container)
    engine.health_checks.stop(container)
    if await release(engine, container):
        release_later(engine, container)
    if run.mounted:
        tell_unmounted(engine, run.row)
    try:
        await forget(engine, container)
    except Error as stuck:
        _log.error("cannot delete the bundle", container=container, error=str(stuck))
    told = error if isinstance(error, Error) else Error(f"the start was cut: {error}")
    code = runtime.exit_code(told)

    async def write() -> None:
        row = await engine.get(container)
        if row.state == "starting":
            changes = {"state": run.row.state, "error": told.message, "exit_code": code, "restart_at": 0}
            await engine.change("unstarted", container, **changes)
        if run.settings.auto_remove and not state.is_live(row.state):
            await remove_locked(engine, entry, await engine.get(container), volumes=True)

    async def write_later() -> None:
        async with entry.lock:
            await write()

    engine.let_drain(entry)
    try:
        await write()
    except Exception as failed:  # a full disk, say, of which *error* tells, too
        _log.error("cannot write that a start failed", container=container, error=str(failed) or repr(failed))
        engine.retries.keep(f"undo the start of {container}", write_later)
    if run.row.restart_at:
        entry.end(code)  # there are those who wait for the end of what was about to run
    else:
        entry.fail(code)


def streams_of(settings: Settings) -> Streams:
    """How conmon is to hold the standard streams.

    Who created the container attached to it, as ``run -i`` does, has its standard input end with the connection. One
    created with ``-i`` alone keeps it open, so that others may come and go (docker's StdinOnce); so does a terminal,
    which has no end, and must not get one when the agent is restarted.
    """
    keep = settings.open_stdin and (settings.tty or not settings.attach_stdin)
    return Streams(tty=settings.tty, stdin=settings.open_stdin, keep_stdin=keep)


def published(settings: Settings, plan: ProcessPlan) -> tuple[Port, ...]:
    """The ports to publish: those asked for, and with ``-P`` every exposed one that is not among them."""
    if not settings.publish_all:
        return settings.ports
    asked = {(port.container_port, port.protocol) for port in settings.ports}
    return settings.ports + tuple(
        Port(container_port=port, protocol=protocol)
        for port, protocol in plan.exposed_ports
        if (port, protocol) not in asked
    )


def _make_bundle(bundle: str, rootfs: str) -> None:
    os.makedirs(os.path.dirname(bundle), mode=0o700, exist_ok=True)
    os.mkdir(bundle, 0o700)
    # The runtime enters it as the container's root, which may be any user.
    os.mkdir(rootfs, 0o755)


def _write_spec(bundle: str, built: dict[str, Any]) -> None:
    with open(os.path.join(bundle, "config.json"), "x", encoding="utf-8") as file:
        json.dump(built, file)
