"""Blobs of a source as the thread that writes an archive wants them: read from front to back, without ``await``.

The source is read in the event loop, one piece ahead of the thread, which :meth:`SourceContent.stop` wakes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any

from jackstay.copying.sources import Blob, RangeSource, SourceImage
from jackstay.errors import Error, NotFound
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor


class SourceContent:
    """The blobs of ``images``; a :class:`jackstay_oci.reading.Content`."""

    def __init__(self, source: RangeSource, images: Sequence[SourceImage], loop: asyncio.AbstractEventLoop) -> None:
        self._source = source
        self._loop = loop
        self._sizes = {Digest.parse(blob.digest): blob.size for image in images for blob in (image.root, *image.blobs)}
        self._reading: set[asyncio.Task[Any]] = set()  # known to the event loop alone
        self._stopped = False

    def has(self, digest: Digest) -> bool:
        """Whether an image has the blob."""
        return digest in self._sizes

    def size(self, digest: Digest) -> int:
        """Bytes of the blob; ``NotFound``."""
        try:
            return self._sizes[digest]
        except KeyError:
            raise NotFound(f"{self._source.name} has no blob {digest}") from None

    def open_blob(self, digest: Digest) -> SourceBlob:
        """The blob from its beginning; ``NotFound``."""
        return SourceBlob(self, self._source.read(str(digest), 0, self.size(digest)))

    def begin(self, pieces: AsyncIterator[bytes]) -> Future[bytes]:
        """Begin to read the next piece, empty at the end."""

        async def next_piece() -> bytes:
            if self._stopped:
                raise Error("the writing of the archive was stopped")
            task = asyncio.current_task()
            assert task is not None
            self._reading.add(task)
            try:
                return await anext(pieces, b"")
            finally:
                self._reading.discard(task)

        return asyncio.run_coroutine_threadsafe(next_piece(), self._loop)

    def stop(self) -> None:
        """End what is being read, from the event loop; what is read after that fails."""
        self._stopped = True
        for task in self._reading:
            task.cancel()


class SourceBlob:
    """One blob being read in a thread."""

    def __init__(self, content: SourceContent, pieces: AsyncIterator[bytes]) -> None:
        self._content = content
        self._pieces = pieces
        self._left = memoryview(b"")
        self._ahead = content.begin(pieces)

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; empty at the end. Raises what the source raises."""
        if not self._left:
            try:
                self._left = memoryview(self._ahead.result())
            except CancelledError:
                raise Error("the writing of the archive was stopped") from None
            if self._left:
                self._ahead = self._content.begin(self._pieces)
        data, self._left = self._left[:size], self._left[size:]
        return bytes(data)

    def close(self) -> None:
        """End the reading."""
        self._ahead.cancel()


def descriptor_of(blob: Blob) -> Descriptor:
    """What names the blob."""
    return Descriptor(media_type=blob.media_type, digest=Digest.parse(blob.digest), size=blob.size)
