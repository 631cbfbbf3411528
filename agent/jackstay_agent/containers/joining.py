"""Joining other containers: ``--pid``, ``--ipc`` and ``--network container:NAME``, and what lets others join.

Guarantees: a namespace that is joined is one that the other container had while it ran: it is held open from the look
at the other's row until the runtime has joined it, so that no process that got the same number meanwhile is met. The
``/dev/shm`` of a container that others may join is mounted by the agent, at `Layout.shm`; who joins has a mount of the
same there, so that either may end first. The errors are docker's words.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from jackstay_agent.containers import identity, namespaces, state
from jackstay_agent.containers.engine import Engine, settings_of
from jackstay_agent.containers.settings import NetworkAttachment, Settings
from jackstay_agent.containers.spec_mounts import DEFAULT_SHM
from jackstay_agent.errors import InvalidArgument, NotFound, WrongState
from jackstay_agent.kernel.threads import finish
from jackstay_agent.metadata.containers import ContainerRow

_TOLD = {"network": "network", "pid": "PID", "ipc": "IPC"}
_NAMES = {"network": "net"}  # below /proc/PID/ns, where they differ from the runtime's


@dataclass(slots=True)
class Joined:
    """Paths for the runtime: of namespaces by their type, and of what is to be ``/dev/shm`` ("" for its own); `bundle`
    is the one whose ``hosts``, ``resolv.conf`` and ``hostname`` it has."""

    namespaces: dict[str, str] = field(default_factory=dict)
    shm: str = ""
    bundle: str = ""


async def name_by_id(engine: Engine, settings: Settings) -> Settings:
    """*settings* that name the containers to join by their ids, which last. Raises `NotFound`, `Ambiguous`."""
    changed: dict[str, Any] = {}
    for flag in ("pid", "ipc"):
        if text := namespaces.other(getattr(settings, flag)):
            changed[flag] = namespaces.CONTAINER + (await engine.find(text)).id
    if text := namespaces.other(settings.network):
        changed["networks"] = (NetworkAttachment(network=namespaces.CONTAINER + (await engine.find(text)).id),)
    return msgspec.structs.replace(settings, **changed)


def check(settings: Settings) -> None:
    """Raise `InvalidArgument` in docker's words for what cannot be with another container's network."""
    if not settings.network.startswith(namespaces.CONTAINER):
        return
    mine = settings.networks[0]
    for what, given in [
        ("hostname", settings.hostname),
        ("dns", settings.dns or settings.dns_search),
        ("custom host-to-IP mapping", settings.add_host),
        ("mac-address", mine.mac_address),
        ("addresses and aliases", mine.ip or mine.ip6 or mine.aliases),
        ("port publishing", settings.ports or settings.publish_all),
        ("other networks", settings.networks[1:]),
    ]:
        if given:
            raise InvalidArgument(
                f"conflicting options: {what} and the container type network mode",
                hint="that is the other container's, leave it out",
            )
    if not namespaces.other(settings.network):
        raise InvalidArgument("--network container: names no container", hint="give container:NAME")


@asynccontextmanager
async def joined(engine: Engine, container: str, settings: Settings) -> AsyncIterator[Joined]:
    """What the start of *container* joins; held during the block.

    Raises:
        NotFound: a container to join is gone.
        WrongState: it does not run.
        InvalidArgument: its IPC namespace is not for others.
    """
    shared = namespaces.parse(settings)
    found, held = Joined(), []
    try:
        for kind, other in (("network", shared.net_of), ("pid", shared.pid_of), ("ipc", shared.ipc_of)):
            if other:
                row = await _running(engine, kind, other)
                held.append(await finish(_open, row, kind))
                found.namespaces[kind] = f"/proc/{os.getpid()}/fd/{held[-1]}"
                if kind == "network":
                    found.bundle = await _bundle_of(engine, row)
                if kind == "ipc":
                    source = await _shm_of(engine, row)
                    await finish(os.mkdir, engine.layout.shm(container), 0o755)
                    await engine.mounts.bind(source, engine.layout.shm(container))
        if shared.shareable:
            await finish(os.mkdir, engine.layout.shm(container), 0o755)
            await engine.mounts.tmpfs(engine.layout.shm(container), settings.shm_size or DEFAULT_SHM)
        if shared.shareable or shared.ipc_of:
            found.shm = engine.layout.shm(container)
        yield found
    finally:
        for descriptor in held:
            os.close(descriptor)


async def _running(engine: Engine, kind: str, other: str) -> ContainerRow:
    try:
        row = await engine.get(other)
    except NotFound as error:
        raise NotFound(
            f"cannot join {_TOLD[kind]} of container {other}: it is gone", hint="create this container again"
        ) from error
    if not state.is_live(row.state):
        raise _not_running(kind, other)
    return row


async def _bundle_of(engine: Engine, row: ContainerRow) -> str:
    """Whose files the network of *row*'s container has: those of the one that it has joined itself, and so on."""
    while other := namespaces.other(settings_of(row).network):
        row = await engine.get(other)
    return engine.layout.bundle(row.id)


async def _shm_of(engine: Engine, other: ContainerRow) -> str:
    if settings_of(other).ipc == "host":
        return "/dev/shm"  # noqa: S108 - the host's own, which that container has too
    path = engine.layout.shm(other.id)
    if not await asyncio.to_thread(os.path.isdir, path):
        raise InvalidArgument(
            f"can't join IPC of container {other.id}: non-shareable IPC",
            hint=f"create {other.name} with --ipc shareable",
        )
    return path


def _open(row: ContainerRow, kind: str) -> int:
    """A descriptor of the namespace of *row*'s first process."""
    process = identity.open_alive(row.pid, row.pid_start)
    if process is None:
        raise _not_running(kind, row.id)
    os.close(process)
    try:
        descriptor = os.open(f"/proc/{row.pid}/ns/{_NAMES.get(kind, kind)}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _not_running(kind, row.id) from error
    if not identity.is_alive(row.pid, row.pid_start):
        os.close(descriptor)
        raise _not_running(kind, row.id)
    return descriptor


def _not_running(kind: str, other: str) -> WrongState:
    return WrongState(
        f"cannot join {_TOLD[kind]} of a non running container: {other}", hint=f"jackstay start {other[:12]}"
    )
