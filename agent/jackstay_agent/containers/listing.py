"""ps and inspect: what is known of containers, gathered."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from jackstay_agent.containers import filters, inspection, log_options, namespaces, state
from jackstay_agent.containers.engine import Engine, settings_of
from jackstay_agent.containers.own_files import FILES
from jackstay_agent.containers.process import ProcessPlan, merge
from jackstay_agent.containers.settings import Settings
from jackstay_agent.errors import InvalidArgument, InvalidReference, NotFound
from jackstay_agent.images.sizes import LayerSizes
from jackstay_agent.metadata import containers as rows
from jackstay_agent.metadata.containers import ContainerRow
from jackstay_agent.networks.attachment import BoundPort
from jackstay_oci.documents import Platform
from jackstay_oci.image_config import ImageConfig


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of ``ps``. Sizes are bytes, 0 when nobody asked."""

    row: ContainerRow
    settings: Settings
    plan: ProcessPlan
    ports: tuple[BoundPort, ...]
    size_rw: int
    size_root: int
    networks: tuple[str, ...] = ()
    platform: str = ""  # of its image, "linux/amd64"

    @property
    def exposed(self) -> tuple[str, ...]:
        """Its ports, "80/tcp"; like docker, of one that does not run none."""
        if not state.is_live(self.row.state):
            return ()
        return tuple(f"{port}/{protocol}" for port, protocol in self.plan.exposed_ports)


async def list_containers(
    engine: Engine, *, every: bool = False, texts: Iterable[str] = (), last: int = 0, size: bool = False
) -> list[Listed]:
    """The containers, newest first: those with a process, unless *every*, *last* (the newest n that fit) or a status is
    asked.

    Raises `InvalidArgument` for a malformed filter, `NotFound` for a container that one names.
    """
    wanted = filters.parse(texts)
    ancestors = {str(found) for text in wanted.ancestor for found in await _image_ids(engine, text)}
    found = await engine.database.read(rows.every)
    bound = await engine.networks.bound()
    networks = await engine.networks.of_containers()
    configs: dict[str, ImageConfig] = {}
    listed: dict[str, Listed] = {}
    candidates = []
    for row in found:
        settings = settings_of(row)
        if row.image_root not in configs:
            image = await engine.images.by_root(row.image_root)
            configs[row.image_root] = await engine.images.config(image)
        config = configs[row.image_root]
        plan = merge(settings, config)
        platform = str(Platform(os=config.os, architecture=config.architecture, variant=config.variant))
        # On networks that are no bridges a container has no place, but it names them.
        named = {network.name: network.id for network in networks.get(row.id, ())} or {settings.network: ""}
        listed[row.id] = Listed(row, settings, plan, tuple(bound.get(row.id, ())), 0, 0, tuple(named), platform)
        candidates.append(_candidate(listed[row.id], named))
    # "before" and "since" are of all containers, so those not shown must still be there to be named.
    chosen = filters.select(wanted, candidates, ancestor_ids=ancestors)
    if last:
        chosen = chosen[:last]
    elif not every and not wanted.any_state:
        shown = {row.id for row in found if state.is_live(row.state) or state.of(row) == "restarting"}
        chosen = [item for item in chosen if item.id in shown]
    return await _sized(engine, [listed[item.id] for item in chosen], size)


async def inspect(engine: Engine, text: str, *, size: bool = False) -> dict[str, Any]:
    """Docker's document of the container that *text* means. Raises `NotFound`, `Ambiguous`."""
    row = await engine.find(text)
    settings, plan = settings_of(row), await engine.plan(row)
    sizes = await _sizes(engine, row) if size else (None, None)
    bundle = engine.layout.bundle(namespaces.other(settings.network) or row.id)
    around = inspection.Surroundings(
        network_settings=await engine.networks.describe(
            row.id, settings, exposed=[f"{port}/{protocol}" for port, protocol in plan.exposed_ports]
        ),
        volume_paths={
            mount.source: engine.volumes.path(mount.source) for mount in settings.mounts if mount.type == "volume"
        },
        files={target: os.path.join(bundle, name) for target, name in FILES.items()}
        if state.is_live(row.state)
        else {},
        log_path=engine.layout.log(row.id) if row.started and settings.log_driver != log_options.NONE else "",
        storage=engine.snapshotter.name,
        runtime=os.path.basename(engine.runtime.path),
        health=await engine.health_checks.of(row.id),
        cgroup_v2=await asyncio.to_thread(os.path.exists, "/sys/fs/cgroup/cgroup.controllers"),
        size_rw=sizes[0],
        size_root=sizes[1],
    )
    return inspection.document(row, settings, plan, around)


async def _sized(engine: Engine, listed: list[Listed], size: bool) -> list[Listed]:
    if not size:
        return listed
    measured = []
    for item in listed:
        size_rw, size_root = await _sizes(engine, item.row)
        measured.append(replace(item, size_rw=size_rw, size_root=size_root))
    return measured


async def _sizes(engine: Engine, row: ContainerRow) -> tuple[int, int]:
    image = await engine.images.by_root(row.image_root)
    size_rw, _inodes = await engine.snapshotter.usage(row.snapshot)

    def below(connection: sqlite3.Connection) -> int:
        return LayerSizes.read(connection).total(image.chain_id) if image.chain_id else 0

    return size_rw, size_rw + await engine.database.read(below)


async def _image_ids(engine: Engine, text: str) -> list[str]:
    try:
        return [str((await engine.images.find(text)).image_id)]
    except (NotFound, InvalidReference, InvalidArgument):
        return []


def _candidate(item: Listed, networks: dict[str, str]) -> filters.Candidate:
    row, mounts = item.row, item.settings.mounts
    return filters.Candidate(
        id=row.id,
        name=row.name,
        state=state.shown(state.of(row)),
        health=row.health or "none",
        exit_code=row.exit_code,
        image=row.image,
        image_id=row.image_id,
        labels=item.plan.labels,
        volumes=frozenset({mount.target for mount in mounts} | {mount.source for mount in mounts}),
        networks=frozenset({*networks, *networks.values()} - {""}),
        exposed=frozenset(item.exposed) | {f"{port.container_port}/{port.protocol}" for port in item.ports},
        published=frozenset(f"{port.host_port}/{port.protocol}" for port in item.ports),
    )
