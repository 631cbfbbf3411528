"""Uploads of blobs to a registry (distribution-spec 1.1, "Pushing blobs"), over a `Sender`.

A small blob goes in one request, a larger one in chunks, each of which is streamed. When a connection breaks, the
registry is asked what it has of the upload, and that is gone on from; one that has forgotten the upload gets it anew.
Nothing is sent twice blindly: a registry that does not check where a chunk belongs would append it again. Memory stays
at the pieces that the reader gives.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Container, Mapping
from contextlib import aclosing, suppress
from datetime import UTC, datetime

from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.errors import DigestMismatch, Error, RegistryFailed
from jackstay_oci.registry import scopes
from jackstay_oci.registry.failures import codes_and_words, failure
from jackstay_oci.registry.registry import BlobReader
from jackstay_oci.registry.retrying import RETRIED, Patience, pause, retry_after
from jackstay_oci.registry.sending import Body, Reply, Sender

WHOLE = 4 << 20
"""Bytes of a blob that goes in one request at most."""
CHUNK = 64 << 20
"""Bytes of a chunk, unless the registry wants longer ones: below what proxies before registries let through."""

_OURS = frozenset(range(200, 600)) - {401, 403}  # statuses that are judged here
_RANGE = re.compile(r"(?:bytes[= ])?0-([0-9]{1,18})", re.ASCII)
_BROKEN_OFF = frozenset({404, 416})  # the upload is not known, or is at another place than we thought


async def mount(sender: Sender, repository: str, digest: Digest, source: str) -> bool:
    """Make a blob of the repository *source* one of *repository* too; false where the registry does not do so.

    Raises `NotFound`, `Unauthorized`, `RateLimited`, `RegistryFailed`.
    """
    reply = await sender.send(
        "POST",
        f"{repository}/blobs/uploads/",
        what=f"blob {digest} of {source} for {repository}",
        scopes=(scopes.push(repository), scopes.pull(source)),
        params={"mount": str(digest), "from": source},
        headers={"Content-Length": "0"},
        ok=(201, 202, 400, 405),
    )
    if reply.status == 202 and reply.location:  # an upload in place of it, which nobody is going to use
        with suppress(Error):
            await sender.send(
                "DELETE",
                reply.location,
                what=f"an upload to {repository}",
                scopes=(scopes.push(repository),),
                ok=_OURS,
                attempts=1,
            )
    return reply.status == 201


async def upload(
    sender: Sender, repository: str, blob: Descriptor, reader: BlobReader, *, patience: Patience | None = None
) -> None:
    """Put *blob* into *repository*. How often that is tried without a byte being taken is bounded by *patience*.

    Raises `Unauthorized`, `RateLimited`, `RegistryFailed`, `DigestMismatch` when the registry finds that the bytes are
    not those of the blob, and what *reader* raises.
    """
    await _Upload(sender, repository, blob, reader, patience or Patience()).run()


class _Broken(Exception):
    """This try is over; another may do better. *failed* is what to raise when there is none."""

    def __init__(self, failed: Error, asked: float | None = None) -> None:
        super().__init__(failed.message)
        self.failed = failed
        self.asked = asked  # seconds that the registry wants us to wait


class _Upload:
    """One upload: where it is, and how much the registry has of it."""

    def __init__(
        self, sender: Sender, repository: str, blob: Descriptor, reader: BlobReader, patience: Patience
    ) -> None:
        self._sender = sender
        self._repository = repository
        self._blob = blob
        self._reader = reader
        self._patience = patience
        self._what = f"blob {blob.digest} for {repository}"
        self._location = ""
        self._chunk = CHUNK
        self._offset = 0
        self._resumed = False
        self._failed: Error | None = None  # what the reader raised

    async def run(self) -> None:
        whole, lost = self._blob.size <= WHOLE, False
        tries, furthest = 0, 0
        while True:
            try:
                if lost and await self._is_there():
                    return
                if lost and self._location:
                    await self._look()
                lost = False
                if not self._location:
                    await self._begin()
                if not whole:
                    await self._send_chunks()
                await self._finish(self._blob.size if whole else 0)
                return
            except _Broken as broken:
                whole, lost = False, True
                if self._offset > furthest:
                    tries, furthest = 0, self._offset
                tries += 1
                seconds = pause(self._patience, tries, broken.asked, random.random())  # noqa: S311 (spreads the tries)
                if seconds is None:
                    raise broken.failed from None
                await asyncio.sleep(seconds)

    async def _begin(self) -> None:
        reply = await self._send("POST", f"{self._repository}/blobs/uploads/", (202,), b"")
        if not reply.location:
            raise RegistryFailed(f"{self._sender.registry} names no place for {self._what}", hint="is it a registry?")
        self._location, self._offset = reply.location, 0
        least = reply.headers.get("OCI-Chunk-Min-Length", "")
        self._chunk = max(CHUNK, int(least) if least.isascii() and least.isdigit() and len(least) < 19 else 0)

    async def _send_chunks(self) -> None:
        while self._offset < self._blob.size:
            length = min(self._chunk, self._blob.size - self._offset)
            end = self._offset + length
            span = f"{self._offset}-{end - 1}"
            reply = await self._send("PATCH", self._location, (201, 202, 204), self._body(length), length, span=span)
            self._location = reply.location or self._location
            taken = _taken(reply)
            if taken is not None and taken < end:
                self._offset = max(taken, self._offset)
                raise _Broken(RegistryFailed(f"{self._sender.registry} took only a part of {self._what}"))
            self._offset = end

    async def _finish(self, length: int) -> None:
        """Say that the upload is whole; *length* bytes, all of the blob, come along."""
        params = {"digest": str(self._blob.digest)}
        body = self._body(length) if length else b""
        await self._send("PUT", self._location, (201, 204), body, length, params=params)

    async def _is_there(self) -> bool:
        """Whether the registry has the blob, although the answer that said so was lost."""
        if not self._location or (self._offset < self._blob.size and self._blob.size > WHOLE):
            return False
        reply = await self._send("HEAD", f"{self._repository}/blobs/{self._blob.digest}", (200, 404))
        return reply.status == 200

    async def _look(self) -> None:
        """Find out what the registry has; an upload that it does not know any more is begun anew."""
        reply = await self._send("GET", self._location, _OURS - RETRIED)
        taken = _taken(reply)
        if reply.status not in (200, 202, 204) or taken is None or taken > self._blob.size:
            self._location, self._offset, self._resumed = "", 0, False
            return
        self._location = reply.location or self._location
        self._offset, self._resumed = taken, True

    async def _send(
        self,
        method: str,
        target: str,
        good: Container[int],
        body: Body | None = None,
        length: int = 0,
        *,
        params: Mapping[str, str] | None = None,
        span: str = "",
    ) -> Reply:
        """Send a request, once. *length* is that of the *body*, *span* where in the blob it belongs."""
        headers = {} if body is None else {"Content-Length": str(length), "Content-Type": "application/octet-stream"}
        if span:
            headers["Content-Range"] = span
        self._failed = None
        try:
            reply = await self._sender.send(
                method,
                target,
                what=self._what,
                scopes=(scopes.push(self._repository),),
                params=params,
                headers=headers,
                body=body,
                ok=_OURS,
                attempts=1,
            )
        except RegistryFailed as error:
            if self._failed is not None:
                raise self._failed from None
            raise _Broken(error) from None
        if reply.status in good:
            return reply
        raise self._refused(reply)

    def _refused(self, reply: Reply) -> Error | _Broken:
        codes, words = codes_and_words(reply.body)
        if "DIGEST_INVALID" in codes:
            mismatch = DigestMismatch(
                f"{self._sender.registry} got other bytes than those of {self._what}{f': {words}' if words else ''}"
            )
            if not self._resumed:
                return mismatch
            self._location, self._resumed = "", False  # what it had of the upload may not be what it said
            return _Broken(mismatch)
        if reply.status == 413:
            return RegistryFailed(
                f"{self._sender.registry} takes no blob as large as {self._what}: {self._blob.size} bytes",
                hint="the registry, or the proxy before it, must be set up to take larger requests",
            )
        failed = failure(self._sender.registry, self._what, reply.status, reply.body)
        if reply.status in RETRIED or reply.status in _BROKEN_OFF:
            return _Broken(failed, retry_after(reply.headers.get("Retry-After"), datetime.now(UTC)))
        return failed

    def _body(self, length: int) -> Body:
        offset = self._offset

        async def pieces() -> AsyncGenerator[bytes | bytearray | memoryview, None]:
            try:
                async with aclosing(self._reader.read(self._blob.digest, offset, length)) as reading:
                    async for piece in reading:
                        yield piece
            except Error as error:
                self._failed = error  # HTTP's library would tell of a broken connection
                raise

        return pieces


def _taken(reply: Reply) -> int | None:
    """Bytes that the registry says it has of the upload; ``None`` where it does not say.

    ``0-0`` is what registries say of no byte at all, although it means one.
    """
    found = _RANGE.fullmatch(reply.headers.get("Range", "").strip())
    if found is None:
        return None
    return int(found[1]) + 1 if int(found[1]) else 0
