"""Bodies of HTTP, in both directions: read within a bound, and sent by somebody who must not stall."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator

import aiohttp


async def whole(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """The body, or ``None`` when it has more than *limit* bytes; little more than that is read."""
    parts: list[bytes] = []
    left = limit
    async for part in response.content.iter_any():
        left -= len(part)
        if left < 0:
            return None
        parts.append(part)
    return b"".join(parts)


async def watched(
    pieces: AsyncIterable[bytes | bytearray | memoryview], timeout: asyncio.Timeout, idle: float
) -> AsyncIterator[bytes | bytearray | memoryview]:
    """The same pieces; *timeout* is put off whenever one is taken: it ends a request whose other side takes none."""
    async for piece in pieces:
        timeout.reschedule(asyncio.get_running_loop().time() + idle)
        yield piece
    timeout.reschedule(None)  # the wait for the answer has a bound of its own
