"""From a stream into something slow to write to: one piece is written while the next comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

Piece = TypeVar("Piece", bytes, memoryview)
Write = Callable[[memoryview], Coroutine[Any, Any, None]]


async def pour(pieces: AsyncIterator[Piece], write: Callable[[Piece], Coroutine[Any, Any, None]]) -> int:
    """Write every piece, in order; the bytes written. At most two pieces are held.

    Raises:
        Error: what the stream or ``write`` raises. Then, and when it is cancelled, ``write`` has ended, too.
    """
    total = 0
    writing: asyncio.Task[None] | None = None
    try:
        async for piece in pieces:
            if writing is not None:
                await writing
            writing = asyncio.create_task(write(piece))
            total += len(piece)
        if writing is not None:
            await writing
    finally:
        if writing is not None:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
    return total
