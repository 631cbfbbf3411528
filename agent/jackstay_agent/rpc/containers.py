"""The ``Containers`` service: thin; parses and converts by `container_messages`, calls `containers`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio
import msgspec

from jackstay_agent.containers.exec_process import ExecRequest
from jackstay_agent.containers.logs import Wanted
from jackstay_agent.containers.service import Containers
from jackstay_agent.errors import InvalidArgument
from jackstay_agent.kernel.threads import to_end
from jackstay_agent.rpc.container_messages import (
    parse_resources,
    parse_restart,
    parse_settings,
    size_of,
    stats,
    summary,
)
from jackstay_agent.rpc.incoming import Incoming
from jackstay_agent.rpc.terminals import carry, first_of
from jackstay_proto.v1 import containers_pb2 as pb
from jackstay_proto.v1.containers_pb2_grpc import ContainersServicer

Context = grpc.aio.ServicerContext[Any, Any]

CHANGES_AT_ONCE = 500
"""In one message, which may have 4 MiB; a path may have 4 KiB."""


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
        return pb.StopContainerReply(id=await self._containers.stop(request.container, timeout, request.signal))

    async def Restart(self, request: pb.RestartContainerRequest, context: Context) -> pb.RestartContainerReply:
        """See containers.proto."""
        timeout = request.timeout if request.HasField("timeout") else None
        return pb.RestartContainerReply(id=await self._containers.restart(request.container, timeout, request.signal))

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
        return pb.ListContainersReply(containers=[summary(item) for item in listed])

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
                yield pb.StatsReply(containers=[stats(line) for line in lines])

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
        start = (await first_of(request_iterator, "attach")).attach
        if start.logs:
            wanted = Wanted(stdout=start.stdout, stderr=start.stderr)
            async with aclosing(self._containers.logs(start.container, wanted)) as batches:
                async for batch in batches:
                    for entry in batch:
                        yield pb.StreamOutput(stderr=entry.text) if entry.stderr else pb.StreamOutput(stdout=entry.text)
        size = size_of(start.size) if start.HasField("size") else None
        seat = await self._containers.attach(start.container, stdout=start.stdout, stderr=start.stderr, size=size)
        async with aclosing(carry(seat, seat.tty, request_iterator, stdin=start.stdin, size=size)) as outputs:
            async for output in outputs:
                yield output

    async def Exec(
        self, request_iterator: AsyncIterator[pb.StreamInput], context: Context
    ) -> AsyncGenerator[pb.StreamOutput, None]:
        """See containers.proto."""
        start = (await first_of(request_iterator, "exec")).exec
        asked = ExecRequest(
            command=tuple(start.command),
            tty=start.tty,
            stdin=start.stdin and not start.detach,
            env=tuple(start.env),
            user=start.user,
            working_dir=start.working_dir,
            privileged=start.privileged,
            detach=start.detach,
            size=size_of(start.size) if start.HasField("size") else None,
        )
        seat = await self._containers.execute(start.container, asked)
        if start.detach:
            yield pb.StreamOutput(ready=pb.StreamReady(id=seat.id, tty=start.tty))
            return
        async with aclosing(carry(seat, start.tty, request_iterator, stdin=start.stdin, size=None)) as outputs:
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
