"""One repository of a registry as a source.

A blob comes as one stream, which costs least. One whose stream proves to be slow goes on in ranges, several at once: a
far registry, or one that slows each connection down, then gives as much as several connections carry. Over all blobs of
the source `ranges.AHEAD` ranges at most are under way or wait to be taken: so much is lost when the agent is killed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial

from jackstay_agent.errors import Error, SourceFailed
from jackstay_agent.fetch.ranges import AHEAD, RANGE, in_ranges
from jackstay_oci.attached.asking import ask_registry
from jackstay_oci.attached.gathering import Answer
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Index, parse_manifest
from jackstay_oci.registry.registry import Document, Registry

JUDGED = 4 << 20
"""Bytes after which a stream is judged, again and again."""
SLOW = 8 << 20
"""Bytes a second. A slower stream is helped by others beside it; a faster one is not worth the wait for each range."""


class RegistrySource:
    """Implements `source.Source`. The registry stays the caller's to close.

    *root* is what the pull's reference named: manifests have addresses of their own in a registry, and those that it
    can be asked for are the root, what that names, and what is attached to them.
    """

    def __init__(
        self,
        registry: Registry,
        name: str,
        repository: str,
        root: Document,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises `InvalidDocument` when *root* is no manifest and no index."""
        self.name = name
        self.given = 0  # bytes
        self.said: Error | None = None  # the registry's own words for the failure that was raised last
        self._registry = registry
        self._repository = repository
        self._documents = {root.descriptor.digest: root.data}
        self._manifests = _manifests(root)
        self._clock = clock
        self._places = asyncio.Semaphore(AHEAD)

    async def attached(self, about: Digest) -> Answer:
        """What is attached to the manifest *about* in the repository: an `Ask`."""
        answer = await ask_registry(self._registry, self._repository, about)
        self._manifests.update(offer.document.digest for offer in answer.offers)
        return answer

    async def read(self, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        """See `source.Source.read`."""
        if digest in self._documents or digest in self._manifests:
            pieces = self._document(digest, offset, length)
        else:
            pieces = self._blob(digest, offset, length)
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    self.given += len(piece)
                    yield piece
        except SourceFailed:
            raise
        except Error as error:
            self.said = error
            raise SourceFailed(error.message, hint=error.hint) from error

    def distrust(self, digest: Digest) -> bool:
        """See `source.Source.distrust`: it may have come from a mirror."""
        return self._registry.distrust(digest)

    async def _document(self, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        data = self._documents.get(digest)
        if data is None:
            data = (await self._registry.manifest(self._repository, str(digest))).data
            self._documents[digest] = data
        if offset + length > len(data):
            raise SourceFailed(f"{self.name}: {digest} has {len(data)} bytes, {offset + length} were announced")
        for start in range(offset, offset + length, RANGE):
            yield data[start : min(start + RANGE, offset + length)]

    async def _blob(self, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        end = offset + length
        judged, waited = offset, 0.0
        async with aclosing(self._registry.read(self._repository, digest, offset, length)) as stream:
            while offset < end:
                asked = self._clock()
                piece = await anext(stream, None)
                waited += self._clock() - asked  # the time of the reader of the pieces is not the stream's
                if piece is None:
                    raise SourceFailed(f"{self.name}: {digest} ends at byte {offset}, {end} were announced")
                offset += len(piece)
                yield piece
                if offset - judged >= JUDGED:
                    if offset - judged < SLOW * waited and end - offset > JUDGED:
                        break
                    judged, waited = offset, 0.0
        part = partial(self._registry.read, self._repository, digest)
        async with aclosing(in_ranges(part, offset, end, self._places)) as ranges:
            async for piece in ranges:
                yield piece


def _manifests(root: Document) -> set[Digest]:
    document = parse_manifest(root.data, root.descriptor.media_type)
    return {one.digest for one in document.manifests} if isinstance(document, Index) else set()
