"""The ``Volumes`` service."""

from __future__ import annotations

from typing import Any

import grpc.aio

from jackstay_agent.volumes.service import Volume, Volumes
from jackstay_proto.v1 import volumes_pb2 as pb
from jackstay_proto.v1.volumes_pb2_grpc import VolumesServicer

Context = grpc.aio.ServicerContext[Any, Any]


class VolumesService(VolumesServicer):
    """Makes, shows and removes this host's volumes."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes

    async def Create(self, request: pb.CreateVolumeRequest, context: Context) -> pb.VolumeReply:
        """See volumes.proto."""
        return pb.VolumeReply(volume=_message(await self._volumes.create(request.name or None, request.labels)))

    async def List(self, request: pb.ListVolumesRequest, context: Context) -> pb.ListVolumesReply:
        """See volumes.proto."""
        found = await self._volumes.list(request.filters)
        return pb.ListVolumesReply(volumes=[_message(volume) for volume in found])

    async def Inspect(self, request: pb.InspectVolumeRequest, context: Context) -> pb.VolumeReply:
        """See volumes.proto."""
        return pb.VolumeReply(volume=_message(await self._volumes.inspect(request.name)))

    async def Remove(self, request: pb.RemoveVolumeRequest, context: Context) -> pb.RemoveVolumeReply:
        """See volumes.proto."""
        await self._volumes.remove(request.name, request.force)
        return pb.RemoveVolumeReply()

    async def Prune(self, request: pb.PruneVolumesRequest, context: Context) -> pb.PruneVolumesReply:
        """See volumes.proto."""
        removed, freed = await self._volumes.prune(request.all, request.filters)
        return pb.PruneVolumesReply(removed=removed, reclaimed=freed)


def _message(volume: Volume) -> pb.Volume:
    return pb.Volume(
        name=volume.name,
        mountpoint=volume.mountpoint,
        created=volume.created // 10**9,
        labels=volume.labels,
        anonymous=volume.anonymous,
        in_use=bool(volume.users),
    )
