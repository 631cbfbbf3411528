"""``/v2/<name>/blobs/<digest>``: blobs, whole and in ranges, as they are stored."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import structlog
from aiohttp import web

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import Error, NotFound
from jackstay_agent.registry_server import answers, ranges
from jackstay_agent.registry_server.body import PATIENCE
from jackstay_agent.registry_server.deleting import Deleter
from jackstay_agent.registry_server.endpoints import Endpoint
from jackstay_agent.registry_server.manifests import parsed_digest
from jackstay_agent.registry_server.refusals import Refusal
from jackstay_agent.registry_server.uploads import Uploads
from jackstay_oci.digest import Digest

_log = structlog.get_logger("registry")


class BlobRequests:
    """Answers requests for blobs. At most as many are sent at the same time as *transfers* lets."""

    def __init__(self, content: ContentStore, uploads: Uploads, deleter: Deleter, transfers: asyncio.Semaphore) -> None:
        self._content = content
        self._uploads = uploads
        self._deleter = deleter
        self._transfers = transfers

    async def head(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        """Whether the blob is here. Who asks is about to push: what is here is held for them for some time."""
        digest = parsed_digest(endpoint.argument)
        if not await self._uploads.promise(digest):
            raise _unknown(digest)
        response = web.StreamResponse(headers=_headers(digest))
        response.content_length = await self._size(digest)
        return response

    async def get(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        """The bytes, or a range of them."""
        digest = parsed_digest(endpoint.argument)
        size = await self._size(digest)
        part = ranges.asked(request.headers.get("Range"), size)
        begin, end = part or (0, size)
        response = web.StreamResponse(status=200 if part is None else 206, headers=_headers(digest))
        response.content_length = end - begin
        if part is not None:
            response.headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
        async with self._transfers:
            await self._send(request, response, digest, begin, end)
        return response

    async def delete(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        """Delete it, if nothing needs it."""
        await self._deleter.blob(parsed_digest(endpoint.argument))
        return answers.empty(202)

    async def _size(self, digest: Digest) -> int:
        try:
            return await self._content.size(digest)
        except NotFound:
            raise _unknown(digest) from None

    async def _send(
        self, request: web.BaseRequest, response: web.StreamResponse, digest: Digest, begin: int, end: int
    ) -> None:
        """Send it. What goes wrong once it has begun cuts the connection: nothing else tells that bytes are missing."""
        left = end - begin
        try:
            # An empty blob has no range, and `read` would take its length for "to the end".
            async with aclosing(self._content.read(digest, begin, left)) as pieces:
                first = await anext(pieces, b"") if left else b""
                await response.prepare(request)
                piece = first
                while piece:
                    async with asyncio.timeout(PATIENCE):
                        await response.write(piece)
                    left -= len(piece)
                    piece = await anext(pieces, b"") if left else b""
        except NotFound:
            raise _unknown(digest) from None
        except (Error, OSError) as error:
            if not response.prepared:
                raise
            _log.info("cut", digest=str(digest), error=str(error) or type(error).__name__)
        if left and request.transport is not None:
            request.transport.abort()
        elif not left:
            await response.write_eof()


def _headers(digest: Digest) -> dict[str, str]:
    return {
        "Content-Type": "application/octet-stream",
        "Docker-Content-Digest": str(digest),
        "Accept-Ranges": "bytes",
        "ETag": f'"{digest}"',
    }


def _unknown(digest: Digest) -> Refusal:
    return Refusal(404, "BLOB_UNKNOWN", f"there is no blob {digest} on this host")
