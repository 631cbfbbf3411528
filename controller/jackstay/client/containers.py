"""``Containers`` of one agent: a method a call of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackstay_proto import pieces
from jackstay_proto.v1.containers_pb2 import ExportContainerRequest
from jackstay_proto.v1.containers_pb2_grpc import ContainersStub

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    import grpc.aio

    from jackstay.client.calls import BidiCall, Calls
    from jackstay_proto.v1.containers_pb2 import (
        CopyFromReply,
        CopyFromRequest,
        CopyToReply,
        CopyToRequest,
        CreateContainerReply,
        CreateContainerRequest,
        DiffContainerReply,
        DiffContainerRequest,
        InspectContainerReply,
        InspectContainerRequest,
        KillContainerReply,
        KillContainerRequest,
        ListContainersReply,
        ListContainersRequest,
        LogsReply,
        LogsRequest,
        PauseContainerReply,
        PauseContainerRequest,
        PruneContainersReply,
        PruneContainersRequest,
        RemoveContainerReply,
        RemoveContainerRequest,
        RenameContainerReply,
        RenameContainerRequest,
        RestartContainerReply,
        RestartContainerRequest,
        StartContainerReply,
        StartContainerRequest,
        StatPathReply,
        StatPathRequest,
        StatsReply,
        StatsRequest,
        StopContainerReply,
        StopContainerRequest,
        StreamInput,
        StreamOutput,
        TopReply,
        TopRequest,
        UnpauseContainerReply,
        UnpauseContainerRequest,
        UpdateContainerReply,
        UpdateContainerRequest,
        WaitContainerReply,
        WaitContainerRequest,
    )


class Containers:
    """Containers of one agent. Every method raises the errors of :mod:`jackstay.errors`."""

    def __init__(self, channel: grpc.aio.Channel, calls: Calls) -> None:
        self._stub = ContainersStub(channel)
        self._export = channel.unary_stream(
            "/jackstay.v1.Containers/Export",
            request_serializer=ExportContainerRequest.SerializeToString,
            response_deserializer=pieces.decode,
        )
        self._calls = calls

    async def create(self, request: CreateContainerRequest, *, timeout: float | None = None) -> CreateContainerReply:
        """Make a container."""
        return await self._calls.unary(self._stub.Create, request, timeout)

    async def start(self, request: StartContainerRequest, *, timeout: float | None = None) -> StartContainerReply:
        """Start a container."""
        return await self._calls.unary(self._stub.Start, request, timeout)

    async def stop(self, request: StopContainerRequest, *, timeout: float | None = None) -> StopContainerReply:
        """Stop a container; returns when it has ended."""
        return await self._calls.unary(self._stub.Stop, request, timeout)

    async def restart(self, request: RestartContainerRequest, *, timeout: float | None = None) -> RestartContainerReply:
        """Stop a container and start it again."""
        return await self._calls.unary(self._stub.Restart, request, timeout)

    async def kill(self, request: KillContainerRequest, *, timeout: float | None = None) -> KillContainerReply:
        """Send a signal to a container."""
        return await self._calls.unary(self._stub.Kill, request, timeout)

    async def pause(self, request: PauseContainerRequest, *, timeout: float | None = None) -> PauseContainerReply:
        """Freeze a container."""
        return await self._calls.unary(self._stub.Pause, request, timeout)

    async def unpause(self, request: UnpauseContainerRequest, *, timeout: float | None = None) -> UnpauseContainerReply:
        """Let a frozen container go on."""
        return await self._calls.unary(self._stub.Unpause, request, timeout)

    async def remove(self, request: RemoveContainerRequest, *, timeout: float | None = None) -> RemoveContainerReply:
        """Remove a container."""
        return await self._calls.unary(self._stub.Remove, request, timeout)

    async def rename(self, request: RenameContainerRequest, *, timeout: float | None = None) -> RenameContainerReply:
        """Give a container another name."""
        return await self._calls.unary(self._stub.Rename, request, timeout)

    async def update(self, request: UpdateContainerRequest, *, timeout: float | None = None) -> UpdateContainerReply:
        """Change a container's limits and restart policy."""
        return await self._calls.unary(self._stub.Update, request, timeout)

    async def list(self, request: ListContainersRequest, *, timeout: float | None = None) -> ListContainersReply:
        """The containers there, newest first."""
        return await self._calls.unary(self._stub.List, request, timeout)

    async def prune(self, request: PruneContainersRequest, *, timeout: float | None = None) -> PruneContainersReply:
        """Remove the containers without a process."""
        return await self._calls.unary(self._stub.Prune, request, timeout)

    async def inspect(self, request: InspectContainerRequest, *, timeout: float | None = None) -> InspectContainerReply:
        """One container as docker's JSON object."""
        return await self._calls.unary(self._stub.Inspect, request, timeout)

    async def wait(self, request: WaitContainerRequest, *, timeout: float | None = None) -> WaitContainerReply:
        """Wait for a container to reach a condition; no time limit."""
        return await self._calls.unary(self._stub.Wait, request, timeout)

    async def top(self, request: TopRequest, *, timeout: float | None = None) -> TopReply:
        """The processes of a running container."""
        return await self._calls.unary(self._stub.Top, request, timeout)

    def diff(self, request: DiffContainerRequest) -> AsyncIterator[DiffContainerReply]:
        """Which paths a container has changed, in batches."""
        return self._calls.stream(self._stub.Diff, request)

    def logs(self, request: LogsRequest) -> AsyncGenerator[LogsReply, None]:
        """What a container wrote; with ``follow`` until it ends."""
        return self._calls.stream(self._stub.Logs, request)

    def stats(self, request: StatsRequest) -> AsyncIterator[StatsReply]:
        """What containers use: once, or with ``stream`` every second."""
        return self._calls.stream(self._stub.Stats, request)

    def export(self, request: ExportContainerRequest) -> AsyncIterator[memoryview]:
        """Pieces of a tar of a container's file system, of at most 1 MiB."""
        return self._calls.stream(self._export, request)

    async def stat_path(self, request: StatPathRequest, *, timeout: float | None = None) -> StatPathReply:
        """What a path of a container is."""
        return await self._calls.unary(self._stub.StatPath, request, timeout)

    def copy_from(self, request: CopyFromRequest) -> AsyncGenerator[CopyFromReply, None]:
        """What a path of a container is, then a tar of it."""
        return self._calls.stream(self._stub.CopyFrom, request)

    def copy_to(self) -> BidiCall[CopyToRequest, CopyToReply]:
        """Unpack a tar in a container. The first request is ``start``."""
        return self._calls.bidi(self._stub.CopyTo)

    def attach(self) -> BidiCall[StreamInput, StreamOutput]:
        """Join a container's standard streams. The first request is ``attach``."""
        return self._calls.bidi(self._stub.Attach)

    def exec(self) -> BidiCall[StreamInput, StreamOutput]:
        """Run a command in a container. The first request is ``exec``."""
        return self._calls.bidi(self._stub.Exec)
