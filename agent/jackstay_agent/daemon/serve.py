"""The composition root: builds every part, cleans up what a cut left behind, serves until told to stop.

The order is the guarantee: nothing is served before the state is clean and the containers are found again. Stopping
leaves the containers running.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from functools import partial
from typing import Any

import structlog

from jackstay_agent.checking import doubtful
from jackstay_agent.checking.check import Checker
from jackstay_agent.checking.parts import Parts
from jackstay_agent.config import Config
from jackstay_agent.containers import commit as committing
from jackstay_agent.containers.service import Containers
from jackstay_agent.content.store import ContentStore
from jackstay_agent.daemon import idle as idleness
from jackstay_agent.daemon import logging, notify, state_folder
from jackstay_agent.events.log import Events
from jackstay_agent.fetch.connecting import Registries
from jackstay_agent.gc.collect import Collector
from jackstay_agent.images.pulling import Puller
from jackstay_agent.images.pushing import Pusher
from jackstay_agent.images.receiving import Receiver
from jackstay_agent.images.room import Room
from jackstay_agent.images.saving import Saver
from jackstay_agent.images.service import Images
from jackstay_agent.images.unpacking import Unpacker
from jackstay_agent.images.verifying import Verifier
from jackstay_agent.kernel.mounts import LinuxMounts
from jackstay_agent.kernel.programs import LinuxPrograms
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers import probing
from jackstay_agent.metadata import usage
from jackstay_agent.metadata.database import Database
from jackstay_agent.networks.service import Networks
from jackstay_agent.registry_server import place as registry_place
from jackstay_agent.registry_server.registry_socket import RegistrySocket
from jackstay_agent.rpc import server as rpc_server
from jackstay_agent.rpc.activity import Activity
from jackstay_agent.rpc.containers import ContainersService
from jackstay_agent.rpc.content import ContentService
from jackstay_agent.rpc.images import ImagesService
from jackstay_agent.rpc.lanes import SUFFIX as LANE_SUFFIX
from jackstay_agent.rpc.lanes import Lanes
from jackstay_agent.rpc.networks import NetworksService
from jackstay_agent.rpc.secrets import SecretsService
from jackstay_agent.rpc.system import SystemService
from jackstay_agent.rpc.volumes import VolumesService
from jackstay_agent.secrets.service import Secrets
from jackstay_agent.volumes.service import Volumes

_log = structlog.get_logger("daemon")

GRACE = 2.0
"""Seconds that calls under way get to end when the agent is told to stop."""


def run(config: Config, jobs: Spawner, *, idle: float | None = None) -> None:
    """Serve until SIGTERM or SIGINT; with *idle* also only until nobody has called for so many seconds and no container
    needs the agent. Raises `Error` when the agent cannot start.
    """
    logging.configure(config.log_level)
    lock = state_folder.hold(config)
    try:
        asyncio.run(_serve(config, jobs, idle))
    finally:
        os.close(lock)


async def _serve(config: Config, jobs: Spawner, idle: float | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    database = await Database.open(os.path.join(config.state, "jackstay.db"))
    events = await Events.open(os.path.join(config.state, "events.db"))
    try:
        await _serve_with(config, jobs, database, events, stop, idle)
    finally:
        await events.close()
        await database.close()
        await jobs.close()


async def _serve_with(
    config: Config, jobs: Spawner, database: Database, events: Events, stop: asyncio.Event, idle: float | None
) -> None:
    programs = LinuxPrograms()
    mounts = LinuxMounts(jobs)
    content = ContentStore(
        os.path.join(config.state, "content"),
        database,
        resumable_hours=config.ingest_hours,
        ingest_bytes=config.ingest_bytes,
    )
    layers = os.path.join(config.state, "layers")
    storage = await probing.choose(layers, config.storage_driver, database, jobs)
    snapshotter = probing.build(storage, layers, database, jobs, mounts, config.limits)
    collector = Collector(database, content, snapshotter)
    images = Images(content)
    room = Room(content, collector)
    unpacker = Unpacker(content, snapshotter)
    receiver = Receiver(content, unpacker, room, config.limits)
    registries = Registries(config.registries)
    puller = Puller(content, receiver, registries, Verifier(config.registries.policy))
    pusher = Pusher(content, images, registries)
    networks = Networks(config.network, config.run, database, jobs, programs)
    volumes = Volumes(config.state, database, jobs)
    secrets = Secrets(config.state, database)
    containers = Containers(
        config, database, jobs, programs, mounts, snapshotter, images, content, networks, volumes, secrets
    )

    parts = Parts(database, content, snapshotter, collector, volumes, containers.engine)
    containers.engine.image_gone = collector.soon
    for part in (containers.engine, images, networks, receiver, secrets, volumes):
        part.record = events.record

    removed = await content.clean()
    removed += await snapshotter.clean()
    await volumes.clean()
    await secrets.clean()
    await networks.recover()
    await containers.recover()
    await doubtful.settle(parts)
    await containers.resume()
    await collector.collect()
    _log.info("clean", removed=removed)

    runtime = await containers.runtime_version()
    await asyncio.to_thread(rpc_server.prepare_folder, config)
    commit = partial(committing.commit, containers.engine, snapshotter, content, images)
    saver = Saver(content, images)
    activity = Activity()
    lanes = Lanes()
    registry = RegistrySocket(content, receiver, collector, config.limits, events.record, activity.call)
    server = rpc_server.build(
        config,
        rpc_server.Services(
            containers=ContainersService(containers),
            content=ContentService(content, images),
            images=ImagesService(
                database, images, receiver, puller, pusher, saver, collector, room, snapshotter.name, commit, lanes
            ),
            networks=NetworksService(networks, containers),
            system=SystemService(
                config,
                database,
                content,
                storage,
                runtime,
                Checker(parts),
                containers.engine,
                events,
                networks.other_firewalls,
            ),
            secrets=SecretsService(secrets),
            volumes=VolumesService(volumes),
        ),
        activity,
    )
    registry.serve(registry_place.beside(config.socket), grace=GRACE)
    await server.start()
    await lanes.serve(config.socket + LANE_SUFFIX)
    await asyncio.to_thread(rpc_server.open_to_group, config)
    notify.ready()
    _log.info("ready", socket=config.socket, runtime=runtime)
    try:
        if idle is None:
            await stop.wait()
        else:
            await _either(stop.wait(), idleness.wait(activity, lambda: database.read(usage.containers_run), idle))
    finally:
        _log.info("stopping")
        await asyncio.gather(server.stop(GRACE), registry.close())
        lanes.close()
        await containers.close()
        networks.close()
        await collector.settle()
        await snapshotter.close()


async def _either(*waits: Coroutine[Any, Any, object]) -> None:
    """Return when the first of *waits* does."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
