"""The ``Networks`` service."""

from __future__ import annotations

import json
from typing import Any

import grpc.aio

from jackstay_agent.networks.service import Networks
from jackstay_proto.v1 import networks_pb2 as pb
from jackstay_proto.v1.networks_pb2_grpc import NetworksServicer

Context = grpc.aio.ServicerContext[Any, Any]


class NetworksService(NetworksServicer):
    """Shows this host's networks."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    async def List(self, request: pb.ListNetworksRequest, context: Context) -> pb.ListNetworksReply:
        """See networks.proto."""
        return pb.ListNetworksReply(
            networks=[
                pb.NetworkSummary(
                    id=row.id,
                    name=row.name,
                    driver=row.driver,
                    subnet=row.subnet,
                    gateway=row.gateway,
                    created=row.created // 1_000_000_000,
                )
                for row in await self._networks.list(request.filters)
            ]
        )

    async def Inspect(self, request: pb.InspectNetworkRequest, context: Context) -> pb.InspectNetworkReply:
        """See networks.proto."""
        return pb.InspectNetworkReply(document=json.dumps(await self._networks.inspect(request.network)))
