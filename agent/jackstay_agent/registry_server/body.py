"""The body of a request, in pieces.

Guarantees that one piece is in memory at a time, of about 1 MiB, beside what the connection buffers; that whoever sends
nothing for `PATIENCE` seconds is given up; and that what came before a connection broke is handed on before that is
told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from aiohttp import StreamReader
from aiohttp.http_exceptions import HttpProcessingError

from jackstay_agent.registry_server.refusals import Refusal

PIECE = 1 << 20
PATIENCE = 300.0
"""Seconds that a piece may take, either way."""


async def pieces(body: StreamReader) -> AsyncGenerator[bytearray, None]:
    """The bytes of *body*. Raises `Refusal` for a sender that went silent, `ConnectionError` for one that went away."""
    held = bytearray()
    try:
        while True:
            async with asyncio.timeout(PATIENCE):
                data = await body.readany()
            held += data
            if not data or len(held) >= PIECE:
                if held:
                    yield held
                held = bytearray()
            if not data:
                return
    except (TimeoutError, ConnectionError, HttpProcessingError) as error:
        if held:
            yield held
        if isinstance(error, ConnectionError):
            raise
        silent = isinstance(error, TimeoutError)
        what = "nothing came for too long" if silent else "the body breaks off"
        raise Refusal(408 if silent else 400, "BLOB_UPLOAD_INVALID", f"{what}; go on where the upload stands") from None


async def document(body: StreamReader, limit: int) -> bytes:
    """The whole of a small *body*. Raises `Refusal` when it has more than *limit* bytes, and as `pieces` does."""
    held = bytearray()
    async for piece in pieces(body):
        held += piece
        if len(held) > limit:
            raise Refusal(413, "SIZE_INVALID", f"the manifest has more than {limit} bytes")
    return bytes(held)
