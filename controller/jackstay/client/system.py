"""``System`` of one agent: a method a call of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackstay_proto.v1.system_pb2_grpc import SystemStub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc.aio

    from jackstay.client.calls import Calls
    from jackstay_proto.v1.system_pb2 import (
        CheckReply,
        CheckRequest,
        DiskUsageReply,
        DiskUsageRequest,
        EventsReply,
        EventsRequest,
        InfoReply,
        InfoRequest,
        VersionReply,
        VersionRequest,
    )


class System:
    """One agent and its host. Every method raises the errors of :mod:`jackstay.errors`."""

    def __init__(self, channel: grpc.aio.Channel, calls: Calls) -> None:
        self._stub = SystemStub(channel)
        self._calls = calls

    async def version(self, request: VersionRequest, *, timeout: float | None = None) -> VersionReply:
        """Versions of the agent, its protocol, runtime and kernel."""
        return await self._calls.unary(self._stub.Version, request, timeout)

    async def info(self, request: InfoRequest, *, timeout: float | None = None) -> InfoReply:
        """The host as docker's ``info`` object."""
        return await self._calls.unary(self._stub.Info, request, timeout)

    async def disk_usage(self, request: DiskUsageRequest, *, timeout: float | None = None) -> DiskUsageReply:
        """What takes space."""
        return await self._calls.unary(self._stub.DiskUsage, request, timeout)

    def check(self, request: CheckRequest) -> AsyncIterator[CheckReply]:
        """Look at everything: progress and findings as they come, ``done`` last."""
        return self._calls.stream(self._stub.Check, request)

    def events(self, request: EventsRequest) -> AsyncIterator[EventsReply]:
        """What has happened, ``live``, and what happens then."""
        return self._calls.stream(self._stub.Events, request)
