"""``Content`` of one agent: a method a call of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackstay_proto.v1.content_pb2_grpc import ContentStub

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    import grpc.aio

    from jackstay.client.calls import Calls
    from jackstay_proto.v1.content_pb2 import (
        MissingReply,
        MissingRequest,
        ReadReply,
        ReadRequest,
        ResolveReply,
        ResolveRequest,
    )


class Content:
    """Blobs of one agent, read. Every method raises the errors of :mod:`jackstay.errors`."""

    def __init__(self, channel: grpc.aio.Channel, calls: Calls) -> None:
        self._stub = ContentStub(channel)
        self._calls = calls

    def resolve(self, request: ResolveRequest) -> AsyncGenerator[ResolveReply, None]:
        """An image's root descriptor and every blob below it, as one reply; kept there until the iterator is closed."""
        return self._calls.stream(self._stub.Resolve, request)

    def read(self, request: ReadRequest) -> AsyncIterator[ReadReply]:
        """A range of one blob, in pieces of at most 1 MiB."""
        return self._calls.stream(self._stub.Read, request)

    async def missing(self, request: MissingRequest, *, timeout: float | None = None) -> MissingReply:
        """Which of the digests are not there."""
        return await self._calls.unary(self._stub.Missing, request, timeout)
