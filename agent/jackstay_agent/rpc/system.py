"""The ``System`` service: the agent and its host."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import socket
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc.aio

from jackstay_agent import __version__
from jackstay_agent.checking.check import Checker
from jackstay_agent.checking.findings import Event, Finding, Step
from jackstay_agent.config import Config
from jackstay_agent.containers import disk_usage
from jackstay_agent.containers.engine import Engine
from jackstay_agent.content.store import ContentStore
from jackstay_agent.events import filters
from jackstay_agent.events.log import Events
from jackstay_agent.layers.probing import Choice
from jackstay_agent.metadata import usage
from jackstay_agent.metadata.database import Database
from jackstay_agent.networks.opening import OtherFirewalls
from jackstay_agent.rpc import room
from jackstay_oci import platforms
from jackstay_proto.v1 import system_pb2 as pb
from jackstay_proto.v1.system_pb2_grpc import SystemServicer

Context = grpc.aio.ServicerContext[Any, Any]

CGROUP_VERSION = "2" if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else "1"

PROTOCOL = 1
"""Changes when an older controller or agent could misunderstand a newer one."""


class SystemService(SystemServicer):
    """Says what this agent and this host are."""

    def __init__(
        self,
        config: Config,
        database: Database,
        content: ContentStore,
        storage: Choice,
        runtime: str,
        checker: Checker,
        engine: Engine,
        events: Events,
        firewalls: OtherFirewalls,
    ) -> None:
        self._config = config
        self._database = database
        self._content = content
        self._storage = storage
        self._runtime = runtime
        self._checker = checker
        self._engine = engine
        self._events = events
        self._firewalls = firewalls

    async def Version(self, request: pb.VersionRequest, context: Context) -> pb.VersionReply:
        """See system.proto."""
        return pb.VersionReply(
            version=__version__,
            protocol=PROTOCOL,
            runtime=self._runtime,
            kernel=platform.release(),
            os="linux",
            architecture=platforms.this_host().architecture,
        )

    async def Info(self, request: pb.InfoRequest, context: Context) -> pb.InfoReply:
        """See system.proto."""
        counts = await self._database.read(usage.counts)
        document = {
            "Name": socket.gethostname(),
            "ServerVersion": __version__,
            "Containers": sum(counts.containers.values()),
            "ContainersRunning": counts.containers.get("running", 0),
            "ContainersPaused": counts.containers.get("paused", 0),
            "ContainersStopped": sum(
                count for state, count in counts.containers.items() if state not in ("running", "paused")
            ),
            "Images": counts.images,
            "Driver": self._storage.driver,
            "DriverStatus": self._storage.status(),
            "DockerRootDir": self._config.state,
            "DefaultRuntime": self._runtime.partition(" ")[0],
            "CgroupVersion": CGROUP_VERSION,
            "Firewalls": [
                {"Tool": each.tool, "Chain": each.chain, "Opened": each.opened} for each in self._firewalls.found
            ],
            "KernelVersion": platform.release(),
            "OSType": "linux",
            "Architecture": platform.machine(),
            "NCPU": len(os.sched_getaffinity(0)),
            "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            **await asyncio.to_thread(room.measure, self._config.state),
        }
        return pb.InfoReply(document=json.dumps(document))

    async def DiskUsage(self, request: pb.DiskUsageRequest, context: Context) -> pb.DiskUsageReply:
        """See system.proto."""
        measured = await disk_usage.measure(self._engine, self._content)
        return pb.DiskUsageReply(
            usage=[
                pb.DiskUsage(
                    type=line.type, total=line.total, active=line.active, size=line.size, reclaimable=line.reclaimable
                )
                for line in measured.lines
            ],
            document=json.dumps(measured.document),
        )

    async def Check(self, request: pb.CheckRequest, context: Context) -> AsyncGenerator[pb.CheckReply, None]:
        """See system.proto."""
        async with aclosing(self._checker.check(repair=request.repair)) as events:
            async for event in events:
                yield _check_reply(event)

    async def Events(self, request: pb.EventsRequest, context: Context) -> AsyncGenerator[pb.EventsReply, None]:
        """See system.proto."""
        wanted = filters.parse(request.filters)
        followed = self._events.follow(wanted, since=request.since_ns, until=request.until_ns)
        async with aclosing(followed) as batches:
            async for batch in batches:
                yield pb.EventsReply(
                    events=[
                        pb.Event(
                            type=event.type,
                            action=event.action,
                            id=event.id,
                            attributes=event.attributes,
                            time_ns=event.time,
                        )
                        for event in batch.events
                    ],
                    live=batch.live,
                )


def _check_reply(event: Event) -> pb.CheckReply:
    if isinstance(event, Step):
        return pb.CheckReply(progress=pb.CheckProgress(doing=event.doing, current=event.current, total=event.total))
    if isinstance(event, Finding):
        return pb.CheckReply(
            finding=pb.CheckFinding(
                kind=event.kind,
                thing=event.thing,
                name=event.name,
                detail=event.detail,
                repaired=event.repaired,
                hint=event.hint,
            )
        )
    return pb.CheckReply(
        done=pb.CheckDone(
            blobs=event.blobs,
            layers=event.layers,
            images=event.images,
            bytes=event.bytes,
            found=event.found,
            repaired=event.repaired,
        )
    )
