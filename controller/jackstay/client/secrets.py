"""``Secrets`` of one agent: a method a call of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackstay_proto.v1.secrets_pb2_grpc import SecretsStub

if TYPE_CHECKING:
    import grpc.aio

    from jackstay.client.calls import Calls
    from jackstay_proto.v1.secrets_pb2 import (
        CreateSecretRequest,
        InspectSecretRequest,
        ListSecretsReply,
        ListSecretsRequest,
        RemoveSecretReply,
        RemoveSecretRequest,
        SecretReply,
    )


class Secrets:
    """Secrets of one agent. Every method raises the errors of :mod:`jackstay.errors`."""

    def __init__(self, channel: grpc.aio.Channel, calls: Calls) -> None:
        self._stub = SecretsStub(channel)
        self._calls = calls

    async def create(self, request: CreateSecretRequest, *, timeout: float | None = None) -> SecretReply:
        """Keep a value."""
        return await self._calls.unary(self._stub.Create, request, timeout)

    async def list(self, request: ListSecretsRequest, *, timeout: float | None = None) -> ListSecretsReply:
        """The secrets there, by name."""
        return await self._calls.unary(self._stub.List, request, timeout)

    async def inspect(self, request: InspectSecretRequest, *, timeout: float | None = None) -> SecretReply:
        """One secret."""
        return await self._calls.unary(self._stub.Inspect, request, timeout)

    async def remove(self, request: RemoveSecretRequest, *, timeout: float | None = None) -> RemoveSecretReply:
        """Remove a secret."""
        return await self._calls.unary(self._stub.Remove, request, timeout)
