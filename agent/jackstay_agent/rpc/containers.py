"""The ``Containers`` service: thin; parses, calls `containers`, converts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio
import msgspec

from jackstay_agent.containers import settings as values
from jackstay_agent.containers import state
from jackstay_agent.containers.attaching import Seat
from jackstay_agent.containers.exec_process import ExecRequest
from jackstay_agent.containers.listing import Listed
from jackstay_agent.containers.logs import Wanted
from jackstay_agent.containers.service import Containers
from jackstay_agent.containers.settings import Settings
from jackstay_agent.containers.stats import Line
from jackstay_agent.errors import InvalidArgument, WrongState
from jackstay_agent.kernel.threads import to_end
from jackstay_agent.rpc.incoming import Incoming
from jackstay_oci import signals
from jackstay_proto.v1 import containers_pb2 as pb
from jackstay_proto.v1.containers_pb2_grpc import ContainersServicer

Context = grpc.aio.ServicerContext[Any, Any]

CHANGES_AT_ONCE = 500
"""In one message, which may have 4 MiB; a path may have 4 KiB."""

_SAME = {
    *("image", "name", "user", "working_dir", "hostname", "tty", "open_stdin", "attach_stdin", "auto_remove"),
    *("publish_all", "privileged", "read_only", "stop_signal", "shm_size", "init", "ipc", "pid"),
    *("uts", "userns", "cgroupns", "log_driver", "platform"),
}
_LISTS = {
    *("command", "env", "cap_add", "cap_drop", "security_opt", "dns", "dns_search", "add_host", "tmpfs", "group_add"),
    *("cdi_devices", "volumes_from"),
}
_RESOURCES = tuple(field.name for field in msgspec.structs.fields(values.Resources))


class ContainersService(ContainersServicer):
    """Serves containers."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers

    async def Create(self, request: pb.CreateContainerRequest, context: Context) -> pb.CreateContainerReply:
        """See containers.proto."""
        container, warnings = await self._containers.create(parse_settings(request), replace=request.replace)
        return pb.CreateContainerReply(id=container, warnings=warnings)

    async def Start(self, request: pb.StartContainerRequest, context: Context) -> pb.StartContainerReply:
        """See containers.proto."""
        return pb.StartContainerReply(id=await self._containers.start(request.container))

    async def Stop(self, request: pb.StopContainerRequest, context: Context) -> pb.StopContainerReply:
        """See containers.proto."""
        timeout = request.timeout if request.HasField("timeout") else None
        return pb.StopContainerReply(id=await self._containers.stop(request.container, timeout))

    async def Restart(self, request: pb.RestartContainerRequest, context: Context) -> pb.RestartContainerReply:
        """See containers.proto."""
        timeout = request.timeout if request.HasField("timeout") else None
        return pb.RestartContainerReply(id=await self._containers.restart(request.container, timeout))

    async def Kill(self, request: pb.KillContainerRequest, context: Context) -> pb.KillContainerReply:
        """See containers.proto."""
        return pb.KillContainerReply(id=await self._containers.kill(request.container, request.signal))

    async def Pause(self, request: pb.PauseContainerRequest, context: Context) -> pb.PauseContainerReply:
        """See containers.proto."""
        await self._containers.pause(request.container)
        return pb.PauseContainerReply()

    async def Unpause(self, request: pb.UnpauseContainerRequest, context: Context) -> pb.UnpauseContainerReply:
        """See containers.proto."""
        await self._containers.unpause(request.container)
        return pb.UnpauseContainerReply()

    async def Remove(self, request: pb.RemoveContainerRequest, context: Context) -> pb.RemoveContainerReply:
        """See containers.proto."""
        removed = await self._containers.remove(request.container, force=request.force, volumes=request.volumes)
        return pb.RemoveContainerReply(id=removed)

    async def Prune(self, request: pb.PruneContainersRequest, context: Context) -> pb.PruneContainersReply:
        """See containers.proto."""
        pruned = await self._containers.prune(request.filters)
        return pb.PruneContainersReply(removed=pruned.removed, reclaimed=pruned.reclaimed)

    async def Rename(self, request: pb.RenameContainerRequest, context: Context) -> pb.RenameContainerReply:
        """See containers.proto."""
        await self._containers.rename(request.container, request.name)
        return pb.RenameContainerReply()

    async def Update(self, request: pb.UpdateContainerRequest, context: Context) -> pb.UpdateContainerReply:
        """See containers.proto."""
        restart = parse_restart(request.restart) if request.HasField("restart") else None
        updated, warnings = await self._containers.update(
            request.container, parse_resources(request.resources), restart
        )
        return pb.UpdateContainerReply(id=updated, warnings=warnings)

    async def List(self, request: pb.ListContainersRequest, context: Context) -> pb.ListContainersReply:
        """See containers.proto."""
        listed = await self._containers.list_all(
            every=request.all, filters=request.filters, last=request.last, size=request.size
        )
        return pb.ListContainersReply(containers=[_summary(item) for item in listed])

    async def Inspect(self, request: pb.InspectContainerRequest, context: Context) -> pb.InspectContainerReply:
        """See containers.proto."""
        document = await self._containers.inspect(request.container, size=request.size)
        return pb.InspectContainerReply(document=msgspec.json.encode(document).decode())

    async def Diff(
        self, request: pb.DiffContainerRequest, context: Context
    ) -> AsyncGenerator[pb.DiffContainerReply, None]:
        """See containers.proto."""
        changes = await self._containers.changes(request.container)
        for start in range(0, len(changes), CHANGES_AT_ONCE):
            some = changes[start : start + CHANGES_AT_ONCE]
            yield pb.DiffContainerReply(changes=[pb.PathChange(kind=kind, path=path) for kind, path in some])

    async def Top(self, request: pb.TopRequest, context: Context) -> pb.TopReply:
        """See containers.proto."""
        table = await self._containers.top(request.container, request.ps_options)
        return pb.TopReply(titles=table.titles, processes=[pb.TopProcess(values=values) for values in table.processes])

    async def Stats(self, request: pb.StatsRequest, context: Context) -> AsyncGenerator[pb.StatsReply, None]:
        """See containers.proto."""
        followed = self._containers.stats(request.containers, every=request.all, follow=request.stream)
        async with aclosing(followed) as samples:
            async for lines in samples:
                yield pb.StatsReply(containers=[_stats(line) for line in lines])

    async def Wait(self, request: pb.WaitContainerRequest, context: Context) -> pb.WaitContainerReply:
        """See containers.proto."""
        return pb.WaitContainerReply(exit_code=await self._containers.wait(request.container, request.condition))

    async def Logs(self, request: pb.LogsRequest, context: Context) -> AsyncGenerator[pb.LogsReply, None]:
        """See containers.proto."""
        wanted = Wanted(
            since=request.since_ns,
            until=request.until_ns,
            tail=request.tail if request.HasField("tail") else None,
            stdout=request.stdout,
            stderr=request.stderr,
        )
        async with aclosing(self._containers.logs(request.container, wanted, follow=request.follow)) as batches:
            async for batch in batches:
                yield pb.LogsReply(
                    entries=[pb.LogEntry(time_ns=entry.time, stderr=entry.stderr, text=entry.text) for entry in batch]
                )

    async def Attach(
        self, request_iterator: AsyncIterator[pb.StreamInput], context: Context
    ) -> AsyncGenerator[pb.StreamOutput, None]:
        """See containers.proto."""
        start = (await _first(request_iterator, "attach")).attach
        if start.logs:
            wanted = Wanted(stdout=start.stdout, stderr=start.stderr)
            async with aclosing(self._containers.logs(start.container, wanted)) as batches:
                async for batch in batches:
                    for entry in batch:
                        yield pb.StreamOutput(stderr=entry.text) if entry.stderr else pb.StreamOutput(stdout=entry.text)
        seat = await self._containers.attach(start.container, stdout=start.stdout, stderr=start.stderr)
        size = _size(start.size) if start.HasField("size") else None
        async with aclosing(_sit(seat, seat.tty, request_iterator, stdin=start.stdin, size=size)) as outputs:
            async for output in outputs:
                yield output

    async def Exec(
        self, request_iterator: AsyncIterator[pb.StreamInput], context: Context
    ) -> AsyncGenerator[pb.StreamOutput, None]:
        """See containers.proto."""
        start = (await _first(request_iterator, "exec")).exec
        asked = ExecRequest(
            command=tuple(start.command),
            tty=start.tty,
            stdin=start.stdin and not start.detach,
            env=tuple(start.env),
            user=start.user,
            working_dir=start.working_dir,
            privileged=start.privileged,
            detach=start.detach,
            size=_size(start.size) if start.HasField("size") else None,
        )
        seat = await self._containers.execute(start.container, asked)
        if start.detach:
            yield pb.StreamOutput(ready=pb.StreamReady(id=seat.id, tty=start.tty))
            return
        async with aclosing(_sit(seat, start.tty, request_iterator, stdin=start.stdin, size=None)) as outputs:
            async for output in outputs:
                yield output

    async def Export(
        self, request: pb.ExportContainerRequest, context: Context
    ) -> AsyncGenerator[pb.ExportContainerReply, None]:
        """See containers.proto."""
        async with aclosing(self._containers.export(request.container)) as pieces:
            async for piece in pieces:
                yield pb.ExportContainerReply(data=piece)

    async def StatPath(self, request: pb.StatPathRequest, context: Context) -> pb.StatPathReply:
        """See containers.proto."""
        found = await self._containers.stat_path(request.container, request.path, follow=request.follow_link)
        return pb.StatPathReply(stat=None if found is None else pb.PathStat(**found))

    async def CopyFrom(self, request: pb.CopyFromRequest, context: Context) -> AsyncGenerator[pb.CopyFromReply, None]:
        """See containers.proto."""
        copied = self._containers.copy_from(request.container, request.path, follow=request.follow_link)
        async with aclosing(copied) as pieces:
            async for piece in pieces:
                if isinstance(piece, bytes):
                    yield pb.CopyFromReply(data=piece)
                else:
                    yield pb.CopyFromReply(stat=pb.PathStat(**piece))

    async def CopyTo(
        self, request_iterator: AsyncIterator[pb.CopyToRequest], context: Context
    ) -> AsyncGenerator[pb.CopyToReply, None]:
        """See containers.proto."""
        first = await anext(request_iterator, None)
        if first is None or not first.HasField("start"):
            raise InvalidArgument("the stream does not begin with 'start'")
        start, begun = first.start, asyncio.Event()
        async with Incoming(request.data async for request in request_iterator) as incoming:
            copying = asyncio.ensure_future(
                self._containers.copy_to(
                    start.container, start.path, incoming.wanted(), begun.set, keep_owner=start.keep_owner
                )
            )
            beginning = asyncio.ensure_future(begun.wait())
            try:
                await asyncio.wait({copying, beginning}, return_when=asyncio.FIRST_COMPLETED)
                if begun.is_set():
                    yield pb.CopyToReply()
                    await asyncio.wait({copying})
                    if copying.exception() is not None:
                        yield pb.CopyToReply(stop=True)
                        await incoming.discard()
                copying.result()
            finally:
                for task in (copying, beginning):
                    task.cancel()
                await to_end(asyncio.wait({copying, beginning}))
                if not copying.cancelled():
                    copying.exception()  # taken, when the caller has gone


async def _first(requests: AsyncIterator[pb.StreamInput], kind: str) -> pb.StreamInput:
    async for request in requests:
        if request.WhichOneof("input") == kind:
            return request
        break
    raise InvalidArgument(f"the stream does not begin with {kind!r}")


async def _sit(
    seat: Seat,
    tty: bool,
    requests: AsyncIterator[pb.StreamInput],
    *,
    stdin: bool,
    size: tuple[int, int] | None,
) -> AsyncGenerator[pb.StreamOutput, None]:
    """Carry input and output of *seat* until its process ends or the caller goes."""
    feeding = asyncio.create_task(_feed(seat, requests, stdin, size))
    try:
        yield pb.StreamOutput(ready=pb.StreamReady(id=seat.id, tty=tty))
        async for stream, data in seat.output():
            yield pb.StreamOutput(stdout=data) if stream == "stdout" else pb.StreamOutput(stderr=data)
        code = await seat.wait()
        yield pb.StreamOutput(detached=True) if code is None else pb.StreamOutput(exit_code=code)
    finally:
        feeding.cancel()
        await asyncio.wait([feeding])
        if not feeding.cancelled():
            feeding.exception()  # taken: the process has ended, or who sent the input has gone
        await asyncio.shield(seat.leave())


async def _feed(seat: Seat, requests: AsyncIterator[pb.StreamInput], stdin: bool, size: tuple[int, int] | None) -> None:
    if size is not None:
        await _resize(seat, size)
    async for request in requests:
        kind = request.WhichOneof("input")
        if kind == "stdin" and stdin:
            await seat.write(request.stdin)
        elif kind == "stdin_closed" and stdin:
            await seat.close_stdin()
        elif kind == "resize":
            await _resize(seat, _size(request.resize))
        elif kind == "signal":
            await seat.signal(signals.parse(request.signal))


async def _resize(seat: Seat, size: tuple[int, int]) -> None:
    try:
        await seat.resize(*size)
    except WrongState:
        return  # it has just ended


def _size(size: pb.WindowSize) -> tuple[int, int]:
    return size.height, size.width


def parse_resources(resources: pb.Resources) -> values.Resources:
    """The limits that *resources* asks for."""
    return values.Resources(**{name: getattr(resources, name) for name in _RESOURCES})


def parse_restart(policy: pb.RestartPolicy) -> values.RestartPolicy:
    """The restart policy that *policy* asks for; an empty one is "no"."""
    return values.RestartPolicy(name=policy.name or "no", maximum_retries=policy.maximum_retries)


def _health(check: pb.HealthCheck) -> values.HealthCheck:
    return values.HealthCheck(
        test=tuple(check.test),
        interval=check.interval_ns,
        timeout=check.timeout_ns,
        start_period=check.start_period_ns,
        start_interval=check.start_interval_ns,
        retries=check.retries,
    )


def parse_settings(request: pb.CreateContainerRequest) -> Settings:
    """The settings that *request* asks for."""
    given: dict[str, Any] = {name: getattr(request, name) for name in _SAME}
    given |= {name: tuple(getattr(request, name)) for name in _LISTS}
    return Settings(
        **given,
        entrypoint=tuple(request.entrypoint.args) if request.HasField("entrypoint") else None,
        labels=dict(request.labels),
        annotations=dict(request.annotations),
        sysctls=dict(request.sysctls),
        log_opts=dict(request.log_opts),
        networks=tuple(
            values.NetworkAttachment(
                network=each.network or "bridge",
                aliases=tuple(each.aliases),
                ip=each.ip,
                ip6=each.ip6,
                mac_address=each.mac_address,
            )
            for each in request.networks
        )
        or (values.NetworkAttachment(),),
        restart=parse_restart(request.restart),
        health=_health(request.health) if request.HasField("health") else None,
        stop_timeout=request.stop_timeout if request.HasField("stop_timeout") else None,
        oom_score_adj=request.oom_score_adj if request.HasField("oom_score_adj") else None,
        resources=parse_resources(request.resources),
        mounts=tuple(
            values.Mount(
                type=mount.type,
                source=mount.source,
                target=mount.target,
                read_only=mount.read_only,
                no_copy=mount.no_copy,
                propagation=mount.propagation or "rprivate",
                create_source=mount.create_source,
                subpath=mount.subpath,
                tmpfs_size=mount.tmpfs_size,
                tmpfs_mode=mount.tmpfs_mode if mount.HasField("tmpfs_mode") else None,
                non_recursive=mount.non_recursive,
                labels=dict(mount.labels),
            )
            for mount in request.mounts
        ),
        devices=tuple(
            values.DeviceMapping(
                host_path=device.host_path,
                container_path=device.container_path or device.host_path,
                permissions=device.permissions or "rwm",
            )
            for device in request.devices
        ),
        ports=tuple(
            values.Port(
                container_port=port.container_port,
                protocol=port.protocol or "tcp",
                host_ip=port.host_ip,
                host_port=port.host_port,
                host_port_end=port.host_port_end,
            )
            for port in request.ports
        ),
        ulimits=tuple(
            values.Ulimit(name=ulimit.name, soft=ulimit.soft, hard=ulimit.hard) for ulimit in request.ulimits
        ),
    )


def _stats(line: Line) -> pb.ContainerStats:
    container, usage = line.container, line.usage
    if usage is None:
        return pb.ContainerStats(id=container.id, name=container.name)
    return pb.ContainerStats(
        id=container.id,
        name=container.name,
        running=True,
        time_ns=usage.time,
        cpu_ns=usage.accounts.cpu_ns,
        cpu_percent=usage.cpu_percent,
        memory=usage.accounts.memory,
        memory_limit=line.memory_limit,
        network_received=usage.received,
        network_sent=usage.sent,
        block_read=usage.accounts.block_read,
        block_written=usage.accounts.block_written,
        pids=usage.accounts.pids,
    )


def _summary(item: Listed) -> pb.ContainerSummary:
    row, settings = item.row, item.settings
    return pb.ContainerSummary(
        id=row.id,
        name=row.name,
        image=row.image,
        image_id=row.image_id,
        command=item.plan.args,
        created=row.created // 10**9,
        state=state.shown(state.of(row)),
        started=row.started // 10**9,
        finished=row.finished // 10**9,
        exit_code=row.exit_code or 0,
        ports=[
            pb.PortBinding(
                host_ip=port.host_ip,
                host_port=port.host_port,
                container_port=port.container_port,
                protocol=port.protocol,
            )
            for port in item.ports
        ],
        exposed=item.exposed,
        labels=item.plan.labels,
        networks=item.networks,
        mounts=[mount.source for mount in settings.mounts if mount.source],
        size_rw=item.size_rw,
        size_root=item.size_root,
        health=row.health,
    )
