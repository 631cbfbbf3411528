"""A registry as tests speak to it: requests by path, answers as values, and pushing as clients do it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
import msgspec

from jackstay_agent.config import Limits
from jackstay_agent.events.event import Event
from jackstay_agent.registry_server.registry_socket import RegistrySocket
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from tests.unit.agent.images.image_host import ImageHost, Made

Body = bytes | AsyncIterator[bytes] | None


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        """The code of an error document, which every answer that fails must have."""
        assert self.headers["Content-Type"] == "application/json"
        (error,) = self.json["errors"]
        assert error["message"]
        return str(error["code"])

    def ok(self, status: int) -> Answer:
        assert self.status == status, (self.status, self.body)
        return self

    def refused(self, status: int, code: str) -> Answer:
        assert (self.status, self.code) == (status, code), self.body
        return self


class RegistryHost:
    """An agent's registry, served; it can be restarted, as the whole agent is."""

    def __init__(self, host: ImageHost, limits: Limits, path: Path) -> None:
        self.host = host
        self.limits = limits
        self.path = path
        self.busy = 0
        self.most_busy = 0
        self.events: list[Event] = []

    async def __aenter__(self) -> Self:
        await self.start()
        connector = aiohttp.UnixConnector(str(self.path))
        self.session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        await self.server.close()
        await self.host.collector.settle()

    async def start(self) -> None:
        host = self.host
        self.server = RegistrySocket(host.content, host.receiver, host.collector, self.limits, self._record, self._call)
        self.server.serve(str(self.path), grace=1.0)

    async def restart(self) -> None:
        """What the agent's end and next start do to it and its store."""
        await self.server.close()
        self.path.unlink(missing_ok=True)
        await self.host.content.clean()
        await self.host.collector.collect()
        await self.start()

    async def ask(
        self, method: str, path: str, body: Body = None, *, host: str = "127.0.0.1:5000", **headers: str
    ) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()} | {"Host": host}
        data = io.BytesIO(body) if isinstance(body, bytes) else body
        async with self.session.request(method, f"http://registry{path}", data=data, headers=sent) as response:
            return Answer(response.status, response.headers.copy(), await response.read())

    async def blob(self, name: str, data: bytes) -> Digest:
        """Upload as docker does: a session, one stream, an empty end."""
        digest = Digest.of(data)
        begun = (await self.ask("POST", f"/v2/{name}/blobs/uploads/")).ok(202)

        async def stream() -> AsyncIterator[bytes]:
            yield data

        moved = (await self.ask("PATCH", begun.headers["Location"], stream())).ok(202)
        done = await self.ask("PUT", f"{moved.headers['Location']}?digest={digest}")
        assert done.ok(201).headers["Docker-Content-Digest"] == digest
        return digest

    async def manifest(self, name: str, reference: str, root: Descriptor, data: bytes) -> Answer:
        return await self.ask("PUT", f"/v2/{name}/manifests/{reference}", data, Content_Type=root.media_type)

    async def push(self, name: str, reference: str, made: Made) -> Descriptor:
        """All of an image, what is here already left out, as clients do."""
        root = made.root
        for digest, data in made.blobs.items():
            if digest != root.digest and (await self.ask("HEAD", f"/v2/{name}/blobs/{digest}")).status == 404:
                await self.blob(name, data)
        (await self.manifest(name, reference, root, made.blobs[root.digest])).ok(201)
        return root

    @contextlib.contextmanager
    def _call(self) -> Iterator[None]:
        self.busy += 1
        self.most_busy = max(self.busy, self.most_busy)
        try:
            yield
        finally:
            self.busy -= 1

    def _record(
        self,
        kind: str,
        action: str,
        subject: str,
        attributes: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.events.append(Event(kind, action, subject, attributes or {}))
