"""Registries in this process, whose every answer a test may write: HTTP as it really is, misbehaving where wanted."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.registry.authorizing import Authorizer
from jackstay_oci.registry.client import RegistryClient, connect
from jackstay_oci.registry.retrying import Patience
from jackstay_oci.registry.settings import RegistrySettings
from jackstay_oci.registry.tokens import AnonymousAuthorizer, Credential, Lookup

REPOSITORY = "library/app"
QUICK = Patience(attempts=3, first_pause=0.001, longest_pause=0.002, longest_wait=0.5, idle=10, document=10)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    path: str  # with its query
    authorization: str | None
    range: str | None
    body: str


@dataclass
class Server:
    """One server under a test's control."""

    answer: Answer
    scheme: str = "http"
    name: str = ""  # host:port
    seen: list[Seen] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.name}"

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.BaseRequest)
        headers = request.headers
        body = (await request.read()).decode("latin-1")
        self.seen.append(
            Seen(request.method, request.path_qs, headers.get("Authorization"), headers.get("Range"), body)
        )
        return await self.answer(request)  # type: ignore[arg-type]


@asynccontextmanager
async def serving(answer: Answer, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server at a port of its own."""
    server = Server(answer, "https" if tls else "http")
    runner = web.ServerRunner(web.Server(server.handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, 0, ssl_context=tls)
        await site.start()
        server.name = f"{host}:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def client(
    server: Server | str,
    authorizer: Authorizer | None = None,
    settings: RegistrySettings | None = None,
    patience: Patience = QUICK,
) -> AsyncIterator[RegistryClient]:
    """A client of a server, or of a registry by its name, that loses patience quickly."""
    name = server if isinstance(server, str) else server.name
    settings = settings or RegistrySettings(certs=())
    authorizer = authorizer or AnonymousAuthorizer(settings, patience=patience, environ={})
    registry = await connect(name, authorizer, settings, patience=patience, environ={})
    try:
        yield registry
    finally:
        await registry.close()


def known(credential: Credential | None) -> Lookup:
    """Gives one credential, whoever asks."""

    async def lookup(_: str) -> Credential | None:
        return credential

    return lookup


@dataclass
class Registry:
    """A registry that does all as it should, with one image of one layer under the tag ``1``."""

    layer: bytes = b"".join(index.to_bytes(4, "big") for index in range(50_000))
    ranges: bool = True
    manifest_type: str = media_types.OCI_MANIFEST

    def __post_init__(self) -> None:
        config = b"{}"
        self.blobs = {Digest.of(data): data for data in (self.layer, config)}
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": media_types.OCI_MANIFEST,
                "config": _descriptor(media_types.OCI_CONFIG, config),
                "layers": [_descriptor(media_types.OCI_LAYER, self.layer)],
            }
        ).encode()
        self.digest = Digest.of(self.manifest)
        self.layer_digest = Digest.of(self.layer)

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(media_type=media_types.OCI_MANIFEST, digest=self.digest, size=len(self.manifest))

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if found := re.fullmatch(rf"/v2/{REPOSITORY}/manifests/(.+)", request.path):
            if found[1] in ("1", self.digest):
                headers = {"Content-Type": self.manifest_type, "Docker-Content-Digest": self.digest}
                return web.Response(body=self.manifest, headers=headers)
            return refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")
        if (found := re.fullmatch(rf"/v2/{REPOSITORY}/blobs/(.+)", request.path)) and found[1] in self.blobs:
            return self.part(request, self.blobs[Digest.parse(found[1])])
        return refusal(404, "NAME_UNKNOWN", "repository name not known to registry")

    def part(self, request: web.Request, data: bytes) -> web.Response:
        """The range that was asked for."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        if asked is None or not self.ranges:
            return web.Response(body=data)
        start, end = int(asked[1]), min(int(asked[2]), len(data) - 1)
        if start >= len(data):
            return web.Response(status=416)
        headers = {"Content-Range": f"bytes {start}-{end}/{len(data)}"}
        return web.Response(status=206, body=data[start : end + 1], headers=headers)


def refusal(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """An error document of a registry."""
    return web.json_response({"errors": [{"code": code, "message": message}]}, status=status, headers=headers)


def _descriptor(media_type: str, data: bytes) -> dict[str, str | int]:
    return {"mediaType": media_type, "digest": Digest.of(data), "size": len(data)}
