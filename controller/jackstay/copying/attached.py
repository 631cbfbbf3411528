"""What is attached to an image, on its way through this machine: out of a registry, and into one.

Guarantees as ``jackstay_oci.attached``: bounds, and that an image never fails for what is attached to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from jackstay.copying.platform_choice import read_document
from jackstay.copying.sources import AttachedDocument, Blob, RangeSource, SourceImage
from jackstay_oci.attached.asking import ask_registry
from jackstay_oci.attached.gathering import Answer, Gathered, gather
from jackstay_oci.attached.offer import Attached, Offer
from jackstay_oci.attached.putting import Place, Put, plan_attached, put_attached
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.registry.registry import Registry

GRACE = 10.0
"""Seconds for which a registry is asked what is attached to an image."""


async def attached_in(registry: Registry, repository: str, image: Sequence[Digest]) -> Gathered:
    """What is attached in a registry to the manifests ``image``."""

    async def ask(about: Digest) -> Answer:
        return await ask_registry(registry, repository, about)

    async def read(offer: Offer) -> bytes:
        return (await registry.manifest(repository, str(offer.document.digest))).data

    try:
        async with asyncio.timeout(GRACE):
            return await gather(image, ask, read)
    except TimeoutError:
        told = f"{registry.name} did not tell within {GRACE:.0f} s what is attached to the image: it is left out"
        return Gathered(warnings=(told,))


def as_source(one: Attached) -> AttachedDocument:
    """As a source tells it."""
    return AttachedDocument(
        _blob(one.offer.document), str(one.offer.about), one.offer.kind, tuple(_blob(blob) for blob in one.blobs)
    )


@dataclass(frozen=True, slots=True)
class Sending:
    """What is attached to an image that goes from ``source`` to a registry."""

    source: RangeSource
    image: SourceImage
    manifests: Sequence[Digest]  # that are pushed, the root included

    async def put(self, place: Place) -> Put:
        """Put it there, after the image."""
        return await self._gathered(place, put_attached)

    async def plan(self, place: Place) -> Put:
        """What :meth:`put` will do, but for lists of referrers that it writes itself."""
        return await self._gathered(place, plan_attached)

    async def _gathered(self, place: Place, do: Callable[[Place, Sequence[Attached]], Awaitable[Put]]) -> Put:
        gathered = await gather(self.manifests, self._ask, self._read)
        put = await do(place, gathered.found)
        put.warnings[:0] = [*self.image.warnings, *gathered.warnings]
        return put

    async def _ask(self, about: Digest) -> Answer:
        return Answer([_offer(one) for one in self.image.attached if one.about == about])

    async def _read(self, offer: Offer) -> bytes:
        return await read_document(self.source, _blob(offer.document))


class Reader:
    """A source as what uploads read; see ``jackstay_oci.registry.registry.BlobReader``."""

    def __init__(self, source: RangeSource) -> None:
        self._source = source

    async def read(
        self, digest: Digest, offset: int, length: int
    ) -> AsyncGenerator[bytes | bytearray | memoryview, None]:
        """See ``BlobReader.read``."""
        async for piece in self._source.read(str(digest), offset, length):
            yield piece


def _offer(one: AttachedDocument) -> Offer:
    document = one.document
    described = Descriptor(media_type=document.media_type, digest=Digest.parse(document.digest), size=document.size)
    return Offer(described, Digest.parse(one.about), one.kind)


def _blob(descriptor: Descriptor) -> Blob:
    return Blob(str(descriptor.digest), descriptor.size, descriptor.media_type)
