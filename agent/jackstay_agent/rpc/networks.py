"""The ``Networks`` service."""

from __future__ import annotations

import json
import time
from typing import Any

import grpc.aio

from jackstay_agent.containers.service import Containers
from jackstay_agent.containers.settings import NetworkAttachment
from jackstay_agent.images.document_times import moment
from jackstay_agent.networks.registry import Wanted
from jackstay_agent.networks.service import Networks
from jackstay_agent.networks.subnets import Subnet
from jackstay_proto.v1 import networks_pb2 as pb
from jackstay_proto.v1.networks_pb2_grpc import NetworksServicer

Context = grpc.aio.ServicerContext[Any, Any]


class NetworksService(NetworksServicer):
    """Serves this host's networks."""

    def __init__(self, networks: Networks, containers: Containers) -> None:
        self._registry = networks.registry
        self._containers = containers

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
                    internal=row.internal,
                    ipv6=bool(row.subnet6),
                    labels=row.labels,
                    subnet6=row.subnet6,
                    gateway6=row.gateway6,
                )
                for row in await self._registry.list(request.filters)
            ]
        )

    async def Inspect(self, request: pb.InspectNetworkRequest, context: Context) -> pb.InspectNetworkReply:
        """See networks.proto."""
        return pb.InspectNetworkReply(document=json.dumps(await self._registry.inspect(request.network)))

    async def Create(self, request: pb.CreateNetworkRequest, context: Context) -> pb.CreateNetworkReply:
        """See networks.proto."""
        wanted = Wanted(
            name=request.name,
            driver=request.driver or "bridge",
            internal=request.internal,
            ipv6=request.ipv6,
            subnets=[Subnet(each.subnet, each.gateway, each.ip_range) for each in request.subnets],
            labels=dict(request.labels),
            options=dict(request.options),
        )
        return pb.CreateNetworkReply(id=await self._registry.create(wanted))

    async def Remove(self, request: pb.RemoveNetworkRequest, context: Context) -> pb.RemoveNetworkReply:
        """See networks.proto."""
        return pb.RemoveNetworkReply(name=await self._registry.remove(request.network, force=request.force))

    async def Prune(self, request: pb.PruneNetworksRequest, context: Context) -> pb.PruneNetworksReply:
        """See networks.proto."""
        now = time.time_ns()
        times = [moment(text.partition("=")[2], now, "until") for text in request.filters if text.startswith("until=")]
        labels = [text for text in request.filters if not text.startswith("until=")]
        return pb.PruneNetworksReply(removed=await self._registry.prune(labels, min(times, default=None)))

    async def Connect(self, request: pb.ConnectNetworkRequest, context: Context) -> pb.ConnectNetworkReply:
        """See networks.proto."""
        wanted = NetworkAttachment(
            network=request.network,
            aliases=tuple(request.aliases),
            ip=request.ip,
            ip6=request.ip6,
            mac_address=request.mac_address,
        )
        await self._containers.network_connect(request.container, wanted)
        return pb.ConnectNetworkReply()

    async def Disconnect(self, request: pb.DisconnectNetworkRequest, context: Context) -> pb.DisconnectNetworkReply:
        """See networks.proto."""
        await self._containers.network_disconnect(request.container, request.network, force=request.force)
        return pb.DisconnectNetworkReply()
