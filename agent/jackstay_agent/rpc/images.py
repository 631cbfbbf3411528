"""The ``Images`` service: thin; parses, calls `images`, converts."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Protocol

import grpc.aio

from jackstay_agent.gc.collect import Collector
from jackstay_agent.images import listing, removing, saving
from jackstay_agent.images.pulling import Puller
from jackstay_agent.images.pushing import Pusher
from jackstay_agent.images.receiving import Receiver
from jackstay_agent.images.room import Room
from jackstay_agent.images.service import Images
from jackstay_agent.metadata.database import Database
from jackstay_agent.rpc.fetching import fetch
from jackstay_agent.rpc.lanes import Lanes
from jackstay_agent.rpc.pulling import pull
from jackstay_agent.rpc.pushing import push
from jackstay_proto.v1 import images_pb2 as pb
from jackstay_proto.v1.images_pb2_grpc import ImagesServicer

Context = grpc.aio.ServicerContext[Any, Any]


class Commit(Protocol):
    """Makes an image of a container; its id. It is `containers.commit.commit`, bound to its host."""

    async def __call__(
        self, container: str, *, name: str, author: str, message: str, changes: Sequence[str], pause: bool
    ) -> str:
        """See `containers.commit.commit`."""
        ...


class ImagesService(ImagesServicer):
    """Serves images. *commit* makes an image of a container; the daemon hands it in."""

    def __init__(
        self,
        database: Database,
        images: Images,
        receiver: Receiver,
        puller: Puller,
        pusher: Pusher,
        saver: saving.Saver,
        collector: Collector,
        room: Room,
        driver: str,
        commit: Commit,
        lanes: Lanes | None = None,
    ) -> None:
        self._lanes = lanes
        self._database = database
        self._images = images
        self._receiver = receiver
        self._puller = puller
        self._pusher = pusher
        self._saver = saver
        self._collector = collector
        self._room = room
        self._driver = driver
        self._commit = commit

    def Fetch(
        self, request_iterator: AsyncIterator[pb.FetchRequest], context: Context
    ) -> AsyncGenerator[pb.FetchReply, None]:
        """See images.proto."""
        return fetch(self._receiver, request_iterator, self._lanes, self._puller.accept_relayed)

    def Pull(
        self, request_iterator: AsyncIterator[pb.PullRequest], context: Context
    ) -> AsyncGenerator[pb.PullReply, None]:
        """See images.proto."""
        return pull(self._puller, request_iterator)

    def Push(
        self, request_iterator: AsyncIterator[pb.PushRequest], context: Context
    ) -> AsyncGenerator[pb.PushReply, None]:
        """See images.proto."""
        return push(self._pusher, request_iterator)

    async def Save(self, request: pb.SaveRequest, context: Context) -> AsyncGenerator[bytes, None]:  # type: ignore[override]
        """See images.proto; gives the data of the replies alone (``rpc.pieces``)."""
        saving = self._saver.save(
            request.images, request.format or "docker", request.compression or "none", request.platform
        )
        async with aclosing(saving) as pieces:
            async for piece in pieces:
                yield piece

    async def List(self, request: pb.ListImagesRequest, context: Context) -> pb.ListImagesReply:
        """See images.proto."""
        listed = await listing.list_images(self._database, request.filters, request.reference, every=request.all)
        return pb.ListImagesReply(images=map(_summary, listed))

    async def Inspect(self, request: pb.InspectImageRequest, context: Context) -> pb.InspectImageReply:
        """See images.proto."""
        document = await self._images.inspect(request.image, self._driver)
        return pb.InspectImageReply(document=json.dumps(document))

    async def History(self, request: pb.HistoryRequest, context: Context) -> pb.HistoryReply:
        """See images.proto."""
        return pb.HistoryReply(
            entries=[
                pb.HistoryEntry(
                    id=line.id,
                    created=line.created,
                    created_by=line.created_by,
                    size=line.size,
                    comment=line.comment,
                    tags=line.tags,
                )
                for line in await self._images.history(request.image)
            ]
        )

    async def Layers(self, request: pb.LayersRequest, context: Context) -> AsyncGenerator[pb.ImageLayers, None]:
        """See images.proto."""
        for image, layers in await self._images.layers(request.images):
            yield pb.ImageLayers(
                id=str(image.image_id),
                names=image.names,
                root=str(image.root),
                layers=[
                    pb.Layer(
                        chain_id=layer.chain_id, diff_id=layer.diff_id, size=layer.size, created_by=layer.created_by
                    )
                    for layer in layers
                ],
            )

    async def Tag(self, request: pb.TagRequest, context: Context) -> pb.TagReply:
        """See images.proto."""
        await self._images.tag(request.source, request.target)
        return pb.TagReply()

    async def Remove(self, request: pb.RemoveImageRequest, context: Context) -> pb.RemoveImageReply:
        """See images.proto."""
        removed = await removing.remove(self._database, self._collector, request.image, force=request.force)
        removing.tell(self._images.record, removed)
        return pb.RemoveImageReply(removed=_removed(removed))

    async def Prune(self, request: pb.PruneImagesRequest, context: Context) -> pb.PruneImagesReply:
        """See images.proto."""
        removed, reclaimed = await removing.prune(
            self._database, self._room, all_unused=request.all, filters=request.filters
        )
        removing.tell(self._images.record, removed)
        self._images.record("image", "prune", "", {"reclaimed": str(reclaimed)})
        return pb.PruneImagesReply(removed=_removed(removed), reclaimed=reclaimed)

    async def Commit(self, request: pb.CommitRequest, context: Context) -> pb.CommitReply:
        """See images.proto."""
        image_id = await self._commit(
            request.container,
            name=request.name,
            author=request.author,
            message=request.message,
            changes=request.changes,
            pause=request.pause,
        )
        return pb.CommitReply(image_id=image_id)


def _summary(line: listing.ListedImage) -> pb.ImageSummary:
    return pb.ImageSummary(
        id=line.id,
        repository=line.repository,
        tag=line.tag,
        digest=line.digest,
        created=line.created // 10**9,
        size=line.size.total,
        shared_size=line.size.shared,
        unique_size=line.size.total - line.size.shared,
        containers=line.containers,
        labels=line.labels,
    )


def _removed(removed: list[removing.Removed]) -> list[pb.RemovedImage]:
    return [pb.RemovedImage(untagged=line.untagged, deleted=line.deleted) for line in removed]
