"""The ``Content`` service: this host's blobs, read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc.aio

from jackstay_agent.content.store import ContentStore
from jackstay_agent.images.offering import offer
from jackstay_agent.images.service import Images, name_meant
from jackstay_agent.metadata import blobs as rows
from jackstay_oci.attached.offer import Attached
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_proto.v1 import content_pb2 as pb
from jackstay_proto.v1.content_pb2_grpc import ContentServicer

Context = grpc.aio.ServicerContext[Any, Any]


class ContentService(ContentServicer):
    """Serves blobs to whoever copies from this host."""

    def __init__(self, content: ContentStore, images: Images) -> None:
        self._content = content
        self._images = images

    async def Resolve(self, request: pb.ResolveRequest, context: Context) -> AsyncGenerator[pb.ResolveReply, None]:
        """See content.proto."""
        async with self._images.resolve(request.image) as (image, closure):
            manifest = await self._images.manifest(image)
            types = {
                image.root: image.media_type,
                image.manifest: (await self._images.manifest_descriptor(image)).media_type,
                manifest.config.digest: manifest.config.media_type,
                **{layer.digest: layer.media_type for layer in manifest.layers},
            }
            blobs = [
                pb.Descriptor(media_type=types.get(digest, ""), digest=str(digest), size=size)
                for digest, size in closure
            ]
            name = name_meant(request.image, image.names) or next(iter(image.names), "")
            attached = await offer(self._content, image, {digest for digest, _size in closure}, name)
            yield pb.ResolveReply(
                name=name,
                image_id=str(image.image_id),
                root=blobs[0],
                blobs=blobs,
                attached=[_attached(one) for one in attached],
            )
            await asyncio.Event().wait()  # until the caller ends the call

    async def Read(self, request: pb.ReadRequest, context: Context) -> AsyncGenerator[pb.ReadReply, None]:
        """See content.proto."""
        reading = self._content.read(Digest.parse(request.digest), request.offset, request.length)
        async with aclosing(reading) as pieces:
            async for piece in pieces:
                yield pb.ReadReply(data=piece)

    async def Missing(self, request: pb.MissingRequest, context: Context) -> pb.MissingReply:
        """See content.proto."""
        digests = [Digest.parse(text) for text in request.digests]
        missing = await self._content.database.read(lambda c: rows.missing(c, digests))
        return pb.MissingReply(digests=[str(digest) for digest in missing])


def _attached(one: Attached) -> pb.Attached:
    return pb.Attached(
        document=_descriptor(one.offer.document),
        about=str(one.offer.about),
        kind=one.offer.kind,
        blobs=[_descriptor(blob) for blob in one.blobs],
    )


def _descriptor(blob: Descriptor) -> pb.Descriptor:
    return pb.Descriptor(media_type=blob.media_type, digest=str(blob.digest), size=blob.size)
