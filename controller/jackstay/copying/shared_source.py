"""One read for many destinations: hosts that copy the same image ask for the same ranges at about the same time.

Ranges are cut into aligned pieces of 1 MiB. A piece that is being read, or is one of the last ``KEEP`` that were, is
given to everybody who asks. Memory is ``KEEP`` pieces, and at most ``AHEAD`` more for each range that is being read; a
destination that lags behind by more than what is kept causes a read of its own, nothing worse.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence

from jackstay.copying.sources import PIECE, RangeSource, SourceImage
from jackstay.errors import NotFound

KEEP = 64
"""Pieces kept for those who come later."""

AHEAD = 8
"""Pieces that are read before they are asked for, so that a far source is not waited for piece by piece."""

Key = tuple[str, int]


class SharedSource:
    """Blobs of ``images`` of a source, each piece read once. Closing it leaves the source open."""

    def __init__(self, source: RangeSource, images: Sequence[SourceImage]) -> None:
        self._source = source
        self._images = list(images)
        self._sizes = {blob.digest: blob.size for image in images for blob in image.everything}
        self._pieces: OrderedDict[Key, asyncio.Task[bytes]] = OrderedDict()

    @property
    def name(self) -> str:
        """The source's name."""
        return self._source.name

    @property
    def via(self) -> str:
        """The source's way."""
        return self._source.via

    async def images(self, wanted: Sequence[str] = (), *, all: bool = False) -> list[SourceImage]:
        """The images that it was made for."""
        return list(self._images)

    async def read(self, digest: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """A range of a blob.

        Raises:
            NotFound: it belongs to none of the images.
            Error: the source's; the next who asks makes it read again.
        """
        if digest not in self._sizes:
            raise NotFound(f"{digest} belongs to no image that is being copied from {self.name}")
        end = min(offset + length, self._sizes[digest])
        while offset < end:
            index, start = divmod(offset, PIECE)
            for later in range(index, min(index + AHEAD, (end - 1) // PIECE) + 1):
                self._begin((digest, later))
            data = (await self._piece((digest, index)))[start : start + end - offset]
            if not data:  # the source is shorter than it said; whoever asked tells
                return
            yield data
            offset += len(data)

    def _begin(self, key: Key) -> asyncio.Task[bytes]:
        task = self._pieces.get(key)
        if task is None:
            task = self._pieces[key] = asyncio.create_task(self._fetch(key))
            task.add_done_callback(lambda done: self._ended(key, done))
        return task

    async def _piece(self, key: Key) -> bytes:
        task = self._begin(key)
        self._pieces.move_to_end(key)
        # Shielded: the one who asked first may leave while others wait for the same piece.
        return await asyncio.shield(task)

    def _ended(self, key: Key, task: asyncio.Task[bytes]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._pieces.pop(key, None)
        for old in [key for key, piece in self._pieces.items() if piece.done()][:-KEEP]:
            del self._pieces[old]

    async def _fetch(self, key: Key) -> bytes:
        digest, index = key
        offset = index * PIECE
        length = min(PIECE, self._sizes[digest] - offset)
        return b"".join([data async for data in self._source.read(digest, offset, length)])

    async def close(self) -> None:
        """Stop reading and forget every piece."""
        tasks = list(self._pieces.values())
        self._pieces.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
