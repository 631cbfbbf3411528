"""``Volumes`` of one agent: a method a call of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackstay_proto.v1.volumes_pb2_grpc import VolumesStub

if TYPE_CHECKING:
    import grpc.aio

    from jackstay.client.calls import Calls
    from jackstay_proto.v1.volumes_pb2 import (
        CreateVolumeRequest,
        InspectVolumeRequest,
        ListVolumesReply,
        ListVolumesRequest,
        PruneVolumesReply,
        PruneVolumesRequest,
        RemoveVolumeReply,
        RemoveVolumeRequest,
        VolumeReply,
    )


class Volumes:
    """Volumes of one agent. Every method raises the errors of :mod:`jackstay.errors`."""

    def __init__(self, channel: grpc.aio.Channel, calls: Calls) -> None:
        self._stub = VolumesStub(channel)
        self._calls = calls

    async def create(self, request: CreateVolumeRequest, *, timeout: float | None = None) -> VolumeReply:
        """Make a volume."""
        return await self._calls.unary(self._stub.Create, request, timeout)

    async def list(self, request: ListVolumesRequest, *, timeout: float | None = None) -> ListVolumesReply:
        """The volumes there, by name."""
        return await self._calls.unary(self._stub.List, request, timeout)

    async def inspect(self, request: InspectVolumeRequest, *, timeout: float | None = None) -> VolumeReply:
        """One volume."""
        return await self._calls.unary(self._stub.Inspect, request, timeout)

    async def remove(self, request: RemoveVolumeRequest, *, timeout: float | None = None) -> RemoveVolumeReply:
        """Remove a volume."""
        return await self._calls.unary(self._stub.Remove, request, timeout)

    async def prune(self, request: PruneVolumesRequest, *, timeout: float | None = None) -> PruneVolumesReply:
        """Remove volumes that nothing uses."""
        return await self._calls.unary(self._stub.Prune, request, timeout)
