"""The pieces of a call that sends many, read on when nobody wants them any more.

Why: a caller who is writing when the call ends with an error learns that it cannot write, not why. So a call that
fails says "stop", lets what is under way come, and only then ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress


class Incoming:
    """Reads *pieces*, one ahead. Use as an async context manager."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._unwanted = False
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Incoming:
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._reading is not None
        self._reading.cancel()
        await asyncio.wait([self._reading])
        if not self._reading.cancelled():
            self._reading.exception()  # taken: the caller has gone

    async def wanted(self) -> AsyncIterator[bytes]:
        """The pieces, until the caller says that none follows."""
        while (piece := await self._queue.get()) is not None:
            yield piece

    async def discard(self) -> None:
        """Read what is left, for nobody."""
        assert self._reading is not None
        self._unwanted = True
        with suppress(asyncio.QueueEmpty):
            self._queue.get_nowait()
        await asyncio.wait([self._reading])

    async def _read(self) -> None:
        async for piece in self._pieces:
            if not self._unwanted:
                await self._queue.put(piece)
        if not self._unwanted:
            await self._queue.put(None)
