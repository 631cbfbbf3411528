"""A blob's bytes by several ranges at once, put together in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable

RANGE = 1 << 20
AHEAD = 4
"""Ranges that are under way, or have come and are not taken yet."""

Read = Callable[[int, int], AsyncIterator[bytes]]
"""Gives so many bytes from an offset."""


async def in_ranges(read: Read, offset: int, end: int, places: asyncio.Semaphore) -> AsyncGenerator[bytes, None]:
    """The bytes from *offset* to *end*, in pieces of `RANGE`; several blobs may share *places*, one for each range.

    Raises what *read* raises, after the bytes before.
    """
    starts = iter(range(offset, end, RANGE))
    asked: deque[asyncio.Task[bytes]] = deque()

    async def whole(start: int) -> bytes:
        await places.acquire()  # who came first is first, so a blob's next range never waits for its later ones
        try:
            return b"".join([piece async for piece in read(start, min(RANGE, end - start))])
        except BaseException:
            places.release()
            raise

    try:
        while True:
            while len(asked) < AHEAD and (start := next(starts, None)) is not None:
                asked.append(asyncio.create_task(whole(start)))
            if not asked:
                return
            data = await asked[0]
            asked.popleft()
            places.release()
            yield data
    finally:
        for task in asked:
            task.cancel()
        for ended in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(ended, bytes):  # it came, and holds its place
                places.release()
