"""create: a container's row, its writable snapshot, its address and its volumes, in one transaction.

Guarantees: when it returns all of them exist, else none. Everything that can be known to be wrong before the start is
refused here. Leaves to `starting` all that needs the root filesystem.
"""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import time

import msgspec

from jackstay_agent.containers import (
    device_mappings,
    health,
    host_facts,
    inheriting,
    joining,
    log_options,
    mounting,
    namespaces,
    restarting,
    secret_uses,
    spec,
    user_namespaces,
)
from jackstay_agent.containers.cdi import resolve as resolve_cdi
from jackstay_agent.containers.engine import Engine, settings_of
from jackstay_agent.containers.ids import new_id, new_name
from jackstay_agent.containers.process import ProcessPlan, merge
from jackstay_agent.containers.settings import Mount, Settings
from jackstay_agent.containers.spec_mounts import ResolvedMount
from jackstay_agent.containers.telling import tell
from jackstay_agent.errors import InvalidArgument, NotFound
from jackstay_agent.images.stored import StoredImage
from jackstay_agent.metadata import containers as rows
from jackstay_agent.metadata import id_ranges
from jackstay_agent.metadata.containers import ContainerRow
from jackstay_agent.networks import resolver_files
from jackstay_oci import platforms, signals
from jackstay_oci.config_values import absolute
from jackstay_oci.documents import Platform
from jackstay_oci.image_config import ImageConfig

CGROUP = "/jackstay"

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}", re.ASCII)


def check_name(name: str) -> str:
    """*name* without docker's leading slash. Raises `InvalidArgument`."""
    name = name.removeprefix("/")
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            f"Invalid container name ({name[:60]}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
            hint="2 to 128 characters",
        )
    return name


def with_name(settings: Settings, name: str) -> str:
    """The JSON of *settings* with another name."""
    return msgspec.json.encode(msgspec.structs.replace(settings, name=name)).decode()


async def create(engine: Engine, settings: Settings) -> tuple[str, list[str]]:
    """Make a container; its id, and warnings for the user. An empty name or host name is filled in.

    Raises `NotFound` for the image or network, `NameTaken`, `AddressTaken`, `InvalidArgument`, `Unsupported`.
    """
    restarting.check(settings)
    health.check(settings.health)
    log_options.parse(settings.log_driver, settings.log_opts)  # for its errors
    if settings.stop_signal:
        signals.parse(settings.stop_signal)
    for server in settings.dns:
        resolver_files.nameserver(server)
    for extra in settings.add_host:
        resolver_files.split_extra(extra)
    image = await engine.images.find(settings.image)
    config = await engine.images.config(image)
    _check_platform(settings, config)
    container = new_id()
    named = check_name(settings.name) if settings.name else ""
    if settings.hostname and settings.uts == "host":
        raise InvalidArgument("conflicting options: hostname and the UTS mode", hint="leave out --hostname or --uts")
    of_host = "host" in (settings.network, settings.uts)
    joining.check(settings)
    settings = await joining.name_by_id(engine, settings)
    if other := namespaces.other(settings.network):
        settings = msgspec.structs.replace(settings, hostname=settings_of(await engine.get(other)).hostname)
    hostname = settings.hostname or (os.uname().nodename if of_host else container[:12])
    settings = msgspec.structs.replace(settings, hostname=hostname)
    settings = await inheriting.with_inherited(engine, settings)
    own = user_namespaces.size(settings)
    pool = await asyncio.to_thread(user_namespaces.pool) if own else range(0)
    plan = merge(settings, config)
    health.check_action(settings, plan)
    settings = msgspec.structs.replace(settings, mounts=_mounts(settings, plan), secrets=secret_uses.checked(settings))
    await secret_uses.check_values(engine, settings.secrets)
    await asyncio.to_thread(_check_sources, settings.mounts)
    warnings = await _rehearse(container, settings, plan)
    row, volumes = await _insert(engine, container, msgspec.structs.replace(settings, name=named), image, own, pool)
    for volume in volumes:
        engine.record("volume", "create", volume, {"driver": "local"})
    entry = engine.entry(container)
    entry.labels = plan.labels
    await tell(engine, entry, row, "create")
    return container, warnings


def _check_platform(settings: Settings, config: ImageConfig) -> None:
    """Raise `NotFound` in docker's words for an image of another platform than was asked for."""
    if not settings.platform:
        return
    actual = platforms.normalise(Platform(os=config.os, architecture=config.architecture, variant=config.variant))
    wanted = platforms.parse(settings.platform)
    if not platforms.fits(actual, wanted):
        raise NotFound(
            f"image with reference {settings.image} was found but does not match the specified platform: "
            f"wanted {wanted}, actual: {actual}",
            hint=f"bring that platform's image to this host: copy or load it with --platform {wanted}",
        )


async def _insert(
    engine: Engine, container: str, settings: Settings, image: StoredImage, own: int, pool: range
) -> tuple[ContainerRow, list[str]]:
    """Write it all; the row, and the volumes that are new. It has *own* ids of *pool*, unless that is 0."""
    key = f"container-{container}"
    written: list[ContainerRow] = []
    volumes: list[str] = []

    def along(connection: sqlite3.Connection) -> None:
        here = engine.volumes.names(connection)
        name = settings.name or new_name(rows.names(connection))
        rows.reserve(connection, name)
        mounts = tuple(
            msgspec.structs.replace(mount, source=_volume(engine, connection, mount))
            if mount.type == "volume"
            else mount
            for mount in settings.mounts
        )
        whole = msgspec.structs.replace(settings, name=name, mounts=mounts)
        row = ContainerRow(
            id=container,
            name=name,
            image=settings.image,
            image_root=str(image.root),
            image_id=str(image.image_id),
            snapshot=key,
            config=msgspec.json.encode(whole).decode(),
            state="created",
            created=time.time_ns(),
        )
        try:
            rows.insert(connection, row)
        except sqlite3.IntegrityError as error:
            raise NotFound(f"No such image: {settings.image}", hint="it was removed just now") from error
        if own:
            id_ranges.take(connection, container, own, pool)
        for volume in {mount.source for mount in mounts if mount.type == "volume"}:
            engine.volumes.add_use(connection, container, volume)
            if volume not in here:
                volumes.append(volume)
        for use in settings.secrets:
            engine.secrets.add_use(connection, container, use.source)
        engine.networks.allocate(connection, container, whole)
        written.append(row)

    await engine.snapshotter.prepare(key, image.chain_id or None, along=along)
    return written[-1], sorted(set(volumes))


def _volume(engine: Engine, connection: sqlite3.Connection, mount: Mount) -> str:
    """The name of *mount*'s volume, which is made when it is missing, unless it is another container's."""
    if mount.inherited:
        return engine.volumes.require(connection, mount.source)
    return engine.volumes.ensure(connection, mount.source or None, mount.labels)


def _mounts(settings: Settings, plan: ProcessPlan) -> tuple[Mount, ...]:
    """The settings' mounts and the image's volumes, targets cleaned, anonymous volumes marked."""
    mounts = [
        msgspec.structs.replace(
            mount,
            target=absolute(mount.target, "the mount path"),
            anonymous=mount.type == "volume" and not mount.source,
            propagation=mount.propagation or "rprivate",
        )
        for mount in settings.mounts
    ]
    for mount in mounts:
        if mount.type not in ("volume", "bind", "tmpfs"):
            raise InvalidArgument(f"invalid mount type {mount.type!r}", hint="give volume, bind or tmpfs")
        if mount.type == "bind":
            absolute(mount.source, "the bind source path")
        if mount.type == "tmpfs" and mount.source:
            raise InvalidArgument(f"a tmpfs has no source, {mount.source[:100]!r} was given")
        if mount.subpath.startswith("/") or (mount.subpath and mount.type != "volume"):
            raise InvalidArgument("subpath must be a relative path within the volume")
    mounts += [Mount(type="volume", source="", target=path, anonymous=True) for path in plan.volumes]
    return tuple(mounts)


def _check_sources(mounts: tuple[Mount, ...]) -> None:
    for mount in mounts:
        if mount.type == "bind" and not mount.create_source and not os.path.exists(mount.source):
            raise InvalidArgument(
                f"bind source path does not exist: {mount.source}", hint="make it on the host, or use -v which does"
            )


async def _rehearse(container: str, settings: Settings, plan: ProcessPlan) -> list[str]:
    """Build the runtime specification as the start will, for its errors and warnings."""
    context = spec.SpecContext(
        id=container,
        rootfs="/",
        hostname=settings.hostname,
        netns_path=None,
        cgroups_path=f"{CGROUP}/{container}",
        facts=await asyncio.to_thread(host_facts.read),
        devices=await asyncio.to_thread(device_mappings.resolve, settings.devices),
        edits=await asyncio.to_thread(resolve_cdi, settings.cdi_devices),
        mounts=tuple(
            mounting.in_memory(mount)
            if mount.type == "tmpfs"
            else ResolvedMount(
                source=mount.source if mount.type == "bind" else "/",
                target=mount.target,
                read_only=mount.read_only,
                propagation=mount.propagation,
            )
            for mount in settings.mounts
        )
        + secret_uses.rehearsed(settings.secrets),
    )
    spec.build(settings, plan, context)
    return list(context.warnings)
