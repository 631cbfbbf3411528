"""``Networks`` of one agent: a method a call of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackstay_proto.v1.networks_pb2_grpc import NetworksStub

if TYPE_CHECKING:
    import grpc.aio

    from jackstay.client.calls import Calls
    from jackstay_proto.v1.networks_pb2 import (
        ConnectNetworkReply,
        ConnectNetworkRequest,
        CreateNetworkReply,
        CreateNetworkRequest,
        DisconnectNetworkReply,
        DisconnectNetworkRequest,
        InspectNetworkReply,
        InspectNetworkRequest,
        ListNetworksReply,
        ListNetworksRequest,
        PruneNetworksReply,
        PruneNetworksRequest,
        RemoveNetworkReply,
        RemoveNetworkRequest,
    )


class Networks:
    """Networks of one agent. Every method raises the errors of :mod:`jackstay.errors`."""

    def __init__(self, channel: grpc.aio.Channel, calls: Calls) -> None:
        self._stub = NetworksStub(channel)
        self._calls = calls

    async def list(self, request: ListNetworksRequest, *, timeout: float | None = None) -> ListNetworksReply:
        """The networks there, by name."""
        return await self._calls.unary(self._stub.List, request, timeout)

    async def inspect(self, request: InspectNetworkRequest, *, timeout: float | None = None) -> InspectNetworkReply:
        """One network as docker's JSON object."""
        return await self._calls.unary(self._stub.Inspect, request, timeout)

    async def create(self, request: CreateNetworkRequest, *, timeout: float | None = None) -> CreateNetworkReply:
        """Make a network."""
        return await self._calls.unary(self._stub.Create, request, timeout)

    async def remove(self, request: RemoveNetworkRequest, *, timeout: float | None = None) -> RemoveNetworkReply:
        """Remove a network that no container is in."""
        return await self._calls.unary(self._stub.Remove, request, timeout)

    async def prune(self, request: PruneNetworksRequest, *, timeout: float | None = None) -> PruneNetworksReply:
        """Remove the networks that no container is in."""
        return await self._calls.unary(self._stub.Prune, request, timeout)

    async def connect(self, request: ConnectNetworkRequest, *, timeout: float | None = None) -> ConnectNetworkReply:
        """Give a container a place in a network."""
        return await self._calls.unary(self._stub.Connect, request, timeout)

    async def disconnect(
        self, request: DisconnectNetworkRequest, *, timeout: float | None = None
    ) -> DisconnectNetworkReply:
        """Take a container's place in a network away."""
        return await self._calls.unary(self._stub.Disconnect, request, timeout)
