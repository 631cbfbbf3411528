"""``/v2/<name>/blobs/uploads/``: blobs that are uploaded, whole, in a stream, or chunk by chunk."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from aiohttp import web

from jackstay_agent.errors import NotFound
from jackstay_agent.registry_server import answers, ranges
from jackstay_agent.registry_server.body import pieces
from jackstay_agent.registry_server.endpoints import Endpoint
from jackstay_agent.registry_server.manifests import parsed_digest
from jackstay_agent.registry_server.refusals import Refusal
from jackstay_agent.registry_server.uploads import Upload, Uploads
from jackstay_oci.digest import Digest


class UploadRequests:
    """Answers requests for uploads. At most as many bodies are read at the same time as *transfers* lets."""

    def __init__(self, uploads: Uploads, transfers: asyncio.Semaphore) -> None:
        self._uploads = uploads
        self._transfers = transfers

    async def begin(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        """Begin an upload; with ``digest`` the body is the blob; with ``mount`` none is needed for one that is here."""
        mounted = request.query.get("mount")
        if mounted is not None and await self._uploads.promise(digest := parsed_digest(mounted)):
            return _created(endpoint, digest)
        whole = request.query.get("digest")
        wanted = None if whole is None else parsed_digest(whole)
        upload = await self._uploads.begin(endpoint.repository)
        if wanted is None:
            return _accepted(endpoint, upload, 0, 202)
        async with self._uploads.at(endpoint.repository, upload) as one:
            try:
                await self._take(request, one)
                await one.commit(wanted)
            except BaseException:
                if not one.ended:
                    await one.cancel()  # nobody was told its id
                raise
        return _created(endpoint, wanted)

    async def status(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        """How far an upload is."""
        try:
            async with self._uploads.at(endpoint.repository, endpoint.argument) as one:
                return _accepted(endpoint, endpoint.argument, one.offset, 204)
        except NotFound as error:
            raise _unknown(error) from None

    async def append(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        """Take a chunk, or a stream of any length."""
        try:
            async with self._uploads.at(endpoint.repository, endpoint.argument) as one:
                await self._chunk(request, endpoint, one)
                return _accepted(endpoint, endpoint.argument, one.offset, 202)
        except NotFound as error:
            raise _unknown(error) from None

    async def finish(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        """Take the last chunk, which may be empty, and make a blob of all that came."""
        digest = parsed_digest(request.query.get("digest", ""))
        try:
            async with self._uploads.at(endpoint.repository, endpoint.argument) as one:
                await self._chunk(request, endpoint, one)
                await one.commit(digest)
        except NotFound as error:
            raise _unknown(error) from None
        return _created(endpoint, digest)

    async def cancel(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        """Give an upload up."""
        try:
            async with self._uploads.at(endpoint.repository, endpoint.argument) as one:
                await one.cancel()
        except NotFound as error:
            raise _unknown(error) from None
        return answers.empty(204)

    async def _chunk(self, request: web.BaseRequest, endpoint: Endpoint, one: Upload) -> None:
        brought = ranges.brought(request.headers.get("Content-Range"))
        if brought is not None:
            begin, end = brought
            if begin != one.offset:
                raise Refusal(
                    416,
                    "BLOB_UPLOAD_INVALID",
                    f"the upload has {one.offset} bytes, a chunk that begins at {begin} does not go on there",
                    headers={"Location": _location(endpoint, endpoint.argument), "Range": ranges.received(one.offset)},
                )
            if request.content_length is not None and request.content_length != end - begin:
                raise Refusal(
                    400,
                    "SIZE_INVALID",
                    f"a chunk of {request.content_length} bytes whose Content-Range names {end - begin}",
                )
        await self._take(request, one)
        if brought is not None and one.offset != brought[1]:
            raise Refusal(400, "SIZE_INVALID", f"the chunk was to end at byte {brought[1]}, and ends at {one.offset}")

    async def _take(self, request: web.BaseRequest, one: Upload) -> None:
        if not request.can_read_body:
            return
        async with self._transfers, aclosing(pieces(request.content)) as coming:
            async for piece in coming:
                await one.write(piece)


def _location(endpoint: Endpoint, upload: str) -> str:
    return f"/v2/{endpoint.path}/blobs/uploads/{upload}"


def _accepted(endpoint: Endpoint, upload: str, offset: int, status: int) -> web.Response:
    return answers.empty(
        status,
        Location=_location(endpoint, upload),
        Range=ranges.received(offset),
        Docker_Upload_UUID=upload,
    )


def _created(endpoint: Endpoint, digest: Digest) -> web.Response:
    location = f"/v2/{endpoint.path}/blobs/{digest}"
    return answers.empty(201, Location=location, Docker_Content_Digest=str(digest))


def _unknown(error: NotFound) -> Refusal:
    return Refusal(404, "BLOB_UPLOAD_UNKNOWN", f"{error.message}; begin it anew")
