"""The ``Secrets`` service."""

from __future__ import annotations

from typing import Any

import grpc.aio

from jackstay_agent.metadata.secrets import SecretRow
from jackstay_agent.secrets.service import Secrets
from jackstay_proto.v1 import secrets_pb2 as pb
from jackstay_proto.v1.secrets_pb2_grpc import SecretsServicer

Context = grpc.aio.ServicerContext[Any, Any]


class SecretsService(SecretsServicer):
    """Keeps, shows and removes this host's secrets; their values go in and never out."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    async def Create(self, request: pb.CreateSecretRequest, context: Context) -> pb.SecretReply:
        """See secrets.proto."""
        made = await self._secrets.create(request.name, request.value, request.labels, replace=request.replace)
        return pb.SecretReply(secret=_message(made))

    async def List(self, request: pb.ListSecretsRequest, context: Context) -> pb.ListSecretsReply:
        """See secrets.proto."""
        found = await self._secrets.list(request.filters)
        return pb.ListSecretsReply(secrets=[_message(secret) for secret in found])

    async def Inspect(self, request: pb.InspectSecretRequest, context: Context) -> pb.SecretReply:
        """See secrets.proto."""
        return pb.SecretReply(secret=_message(await self._secrets.inspect(request.secret)))

    async def Remove(self, request: pb.RemoveSecretRequest, context: Context) -> pb.RemoveSecretReply:
        """See secrets.proto."""
        await self._secrets.remove(request.secret, force=request.force)
        return pb.RemoveSecretReply()


def _message(secret: SecretRow) -> pb.Secret:
    return pb.Secret(
        id=secret.id,
        name=secret.name,
        created=secret.created // 10**9,
        updated=secret.updated // 10**9,
        labels=secret.labels,
    )
