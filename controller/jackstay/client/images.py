"""``Images`` of one agent: a method a call of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackstay_proto import pieces
from jackstay_proto.v1.images_pb2 import SaveRequest
from jackstay_proto.v1.images_pb2_grpc import ImagesStub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc.aio

    from jackstay.client.calls import BidiCall, Calls
    from jackstay_proto.v1.images_pb2 import (
        CommitReply,
        CommitRequest,
        FetchReply,
        FetchRequest,
        HistoryReply,
        HistoryRequest,
        ImageLayers,
        InspectImageReply,
        InspectImageRequest,
        LayersRequest,
        ListImagesReply,
        ListImagesRequest,
        PruneImagesReply,
        PruneImagesRequest,
        PullReply,
        PullRequest,
        PushReply,
        PushRequest,
        RemoveImageReply,
        RemoveImageRequest,
        TagReply,
        TagRequest,
    )


class Images:
    """Images of one agent. Every method raises the errors of :mod:`jackstay.errors`."""

    def __init__(self, channel: grpc.aio.Channel, calls: Calls) -> None:
        self._stub = ImagesStub(channel)
        self._save = channel.unary_stream(
            "/jackstay.v1.Images/Save",
            request_serializer=SaveRequest.SerializeToString,
            response_deserializer=pieces.decode,
        )
        self._calls = calls

    def fetch(self) -> BidiCall[FetchRequest, FetchReply]:
        """Make images be there: the agent asks for ranges, the caller gives them.

        The first request is ``start``, the last reply ``done``."""
        return self._calls.bidi(self._stub.Fetch)

    def pull(self) -> BidiCall[PullRequest, PullReply]:
        """Pull an image from a registry: the agent may ask who it is, the caller answers.

        The first request is ``start``, the last reply ``done``."""
        return self._calls.bidi(self._stub.Pull)

    def push(self) -> BidiCall[PushRequest, PushReply]:
        """Push an image to a registry: the agent may ask who it is, the caller answers.

        The first request is ``start``, the last reply ``done``."""
        return self._calls.bidi(self._stub.Push)

    def save(self, request: SaveRequest) -> AsyncIterator[memoryview]:
        """Pieces of an archive of images, of at most 1 MiB."""
        return self._calls.stream(self._save, request)

    async def list(self, request: ListImagesRequest, *, timeout: float | None = None) -> ListImagesReply:
        """The images there, newest first."""
        return await self._calls.unary(self._stub.List, request, timeout)

    async def inspect(self, request: InspectImageRequest, *, timeout: float | None = None) -> InspectImageReply:
        """One image as docker's JSON object."""
        return await self._calls.unary(self._stub.Inspect, request, timeout)

    async def history(self, request: HistoryRequest, *, timeout: float | None = None) -> HistoryReply:
        """How an image came to be, newest first."""
        return await self._calls.unary(self._stub.History, request, timeout)

    def layers(self, request: LayersRequest) -> AsyncIterator[ImageLayers]:
        """What images are made of, one after the other."""
        return self._calls.stream(self._stub.Layers, request)

    async def tag(self, request: TagRequest, *, timeout: float | None = None) -> TagReply:
        """Give an image another name."""
        return await self._calls.unary(self._stub.Tag, request, timeout)

    async def remove(self, request: RemoveImageRequest, *, timeout: float | None = None) -> RemoveImageReply:
        """Remove names, and images that have none left."""
        return await self._calls.unary(self._stub.Remove, request, timeout)

    async def prune(self, request: PruneImagesRequest, *, timeout: float | None = None) -> PruneImagesReply:
        """Remove images that nothing uses."""
        return await self._calls.unary(self._stub.Prune, request, timeout)

    async def commit(self, request: CommitRequest, *, timeout: float | None = None) -> CommitReply:
        """Make an image of a container."""
        return await self._calls.unary(self._stub.Commit, request, timeout)
