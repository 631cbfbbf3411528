"""A registry's uploads in memory, as a `Sender`: it can break connections, forget, and be as odd as real ones are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, urlsplit

from multidict import CIMultiDict

from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.errors import Error, RegistryFailed, Unauthorized
from jackstay_oci.registry.sending import Body, Reply

BASE = "http://registry.test/v2/"
REPOSITORY = "team/app"


class FromBytes:
    """A `BlobReader` of one blob; `failure` is raised in the middle. Notes what was read of it."""

    def __init__(self, data: bytes, failure: Error | None = None, piece: int = 1 << 20) -> None:
        self.data, self.failure, self.piece = data, failure, piece
        self.reads: list[tuple[int, int]] = []
        self.longest = 0

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(media_type="application/octet-stream", digest=Digest.of(self.data), size=len(self.data))

    async def read(self, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        assert digest == Digest.of(self.data)
        self.reads.append((offset, length))
        for start in range(offset, offset + length, self.piece):
            await asyncio.sleep(0)
            if self.failure is not None:
                raise self.failure
            yield self.data[start : min(start + self.piece, offset + length)]


@dataclass
class Uploads:
    """Implements `Sender`. The numbers of `breaks` are bytes of bodies after which the connection breaks, each once."""

    registry: str = "registry.test"
    breaks: list[int] = field(default_factory=list)
    answers: list[Callable[[str, str], Reply | None]] = field(default_factory=list)  # asked before anything else
    headers: dict[str, str] = field(default_factory=dict)  # of the answer to POST
    absolute: bool = True
    checks_range: bool = True
    tells_range: bool = True
    mounts: dict[str, set[Digest]] = field(default_factory=dict)
    lose_answer_of_put: bool = False
    stale: bool = False  # the location says how much came, and is not good for another offset (Distribution)
    forget: bool = False  # the upload whose connection broke
    drops: int = 0  # bytes at the end of what came, lost when the connection breaks
    blobs: dict[Digest, bytes] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    scopes: list[Sequence[str]] = field(default_factory=list)
    received: int = 0

    async def send(
        self,
        method: str,
        target: str,
        *,
        what: str,
        scopes: Sequence[str] = (),
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        ok: Container[int] = (200,),
        limit: int = 4 << 20,
        attempts: int | None = None,
    ) -> Reply:
        parts = urlsplit(target if "://" in target else BASE + target)
        self.requests.append(f"{method} {parts.path.rpartition('/v2/')[2].removeprefix(REPOSITORY + '/blobs/')}")
        self.scopes.append(scopes)
        url = parts.geturl()
        headers = CIMultiDict(headers or {})
        for answer in self.answers:
            if (reply := answer(method, url)) is not None:
                break
        else:
            query = {key: values[0] for key, values in parse_qs(parts.query).items()} | dict(params or {})
            reply = await self._handle(method, parts.path, query, headers, body)
        if reply.status not in ok:
            raise Unauthorized("no") if reply.status in (401, 403) else RegistryFailed(f"status {reply.status}")
        return Reply(reply.status, CIMultiDict(reply.headers), reply.body, url)

    async def _handle(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: Body | None
    ) -> Reply:
        if path.endswith("/blobs/uploads/"):
            if query.get("from") and Digest(query["mount"]) in self.mounts.get(query["from"], set()):
                return answered(201)
            name = f"up{len(self.requests)}"
            self.uploads[name] = bytearray()
            return answered(202, Location=self._location(name), **self.headers)
        name = path.rpartition("/")[2]
        if method == "HEAD":
            return answered(200 if name in self.blobs else 404)
        upload = self.uploads.get(name)
        if upload is None or query.get("state") != self._state(name):
            return answered(404, code="BLOB_UPLOAD_UNKNOWN") if upload is None else answered(400, code="STATE")
        if method == "GET":
            return answered(204, Location=self._location(name), **self._range(upload))
        if method == "DELETE":
            del self.uploads[name]
            return answered(204)
        span = headers.get("Content-Range")
        if self.checks_range and span and int(span.partition("-")[0]) != len(upload):
            return answered(416, **self._range(upload))
        await self._take(name, upload, body, int(headers.get("Content-Length", "-1")))
        if method == "PATCH":
            return answered(202, Location=self._location(name), **self._range(upload))
        digest = Digest.of(bytes(upload))
        if digest != query["digest"]:
            del self.uploads[name]
            return answered(400, code="DIGEST_INVALID")
        self.blobs[digest] = bytes(self.uploads.pop(name))
        if self.lose_answer_of_put:
            self.lose_answer_of_put = False
            raise RegistryFailed("the connection broke")
        return answered(201)

    async def _take(self, name: str, upload: bytearray, body: Body | None, length: int) -> None:
        assert body is not None
        if isinstance(body, bytes):
            assert len(body) == length
            upload += body
            return
        came = 0
        stop = self.breaks[0] if self.breaks else None
        try:
            async for piece in body():
                came += len(piece)
                self.received += len(piece)
                upload += piece
                if stop is not None and came >= stop:
                    self.breaks.pop(0)
                    del upload[len(upload) - self.drops :]
                    if self.forget:
                        self.uploads.pop(name)
                    raise RegistryFailed("the connection broke")
        except Error as error:  # as HTTP's library tells it
            raise RegistryFailed("the connection broke") from error
        assert came == length

    def _state(self, name: str) -> str:
        return f"{name}/{len(self.uploads[name])}=" if self.stale else f"{name}="

    def _location(self, name: str) -> str:
        path = f"/v2/{REPOSITORY}/blobs/uploads/{name}?state={quote(self._state(name))}"
        return f"http://registry.test{path}" if self.absolute else path

    def _range(self, upload: bytearray) -> dict[str, str]:
        return {"Range": f"0-{max(len(upload) - 1, 0)}"} if self.tells_range else {}


def answered(status: int, *, code: str = "", **headers: str) -> Reply:
    body = json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode() if code else b""
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body, "")
