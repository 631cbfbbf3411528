"""A small registry over HTTP in a thread: what the command line asks of one, with users when it is told some."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

OCI = "application/vnd.oci.image"


class HttpRegistry:
    """Listens on the loopback while its block runs.

    Attributes:
        blobs: of each repository, by digest.
        manifests: of each repository, by tag and digest: media type and bytes.
        users: name and password; none: open to everybody.
        asked: method and path of every request.
    """

    def __init__(self) -> None:
        self.blobs: dict[str, dict[str, bytes]] = {}
        self.manifests: dict[str, dict[str, tuple[str, bytes]]] = {}
        self.users: dict[str, str] = {}
        self.asked: list[str] = []
        self.found: list[dict[str, Any]] = []  # what a search finds
        registry = self

        class Handler(_Handler):
            server_registry = registry

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def name(self) -> str:
        """``127.0.0.1:PORT``."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def put(self, repository: str, tag: str, layers: list[bytes], architecture: str = "amd64") -> dict[str, Any]:
        """Have an image; its descriptor."""
        described = [self.blob(repository, layer, f"{OCI}.layer.v1.tar") for layer in layers]
        rootfs = {"type": "layers", "diff_ids": [layer["digest"] for layer in described]}
        config = json.dumps({"architecture": architecture, "os": "linux", "config": {}, "rootfs": rootfs}).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": self.blob(repository, config, f"{OCI}.config.v1+json"),
            "layers": described,
        }
        return self.document(repository, tag, manifest)

    def put_index(self, repository: str, tag: str, children: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """Have an index of manifests, by their architectures."""
        entries = [one | {"platform": {"os": "linux", "architecture": name}} for name, one in children.items()]
        index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": entries}
        return self.document(repository, tag, index)

    def blob(self, repository: str, data: bytes, media_type: str) -> dict[str, Any]:
        described = {"mediaType": media_type, "digest": _digest(data), "size": len(data)}
        self.blobs.setdefault(repository, {})[_digest(data)] = data
        return described

    def document(self, repository: str, tag: str, content: dict[str, Any]) -> dict[str, Any]:
        data = json.dumps(content).encode()
        there = self.manifests.setdefault(repository, {})
        there[_digest(data)] = (content["mediaType"], data)
        if tag:
            there[tag] = there[_digest(data)]
        return {"mediaType": content["mediaType"], "digest": _digest(data), "size": len(data)}

    def counted(self, method: str, part: str) -> int:
        """Requests of a method whose path has the part in it."""
        return sum(line.startswith(f"{method} ") and part in line for line in self.asked)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_registry: HttpRegistry

    def _handle(self) -> None:
        registry = self.server_registry
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        body = self._body()
        registry.asked.append(f"{self.command} {self.path}")
        if not self._known():
            self._answer(401, {"WWW-Authenticate": 'Basic realm="here"'}, b"{}")
            return
        path = url.path.removeprefix("/v2/")
        if url.path == "/v1/search":
            self._answer(200, {}, json.dumps({"results": registry.found}).encode())
        elif path in ("", "_catalog"):
            self._answer(200, {}, json.dumps({"repositories": sorted(registry.manifests)} if path else {}).encode())
        elif path.endswith("/tags/list"):
            names = registry.manifests.get(path.removesuffix("/tags/list"))
            tags = [name for name in names or () if ":" not in name]
            self._answer(404 if names is None else 200, {}, json.dumps({"tags": tags}).encode())
        elif "/manifests/" in path:
            repository, reference = path.split("/manifests/")
            self._manifest(repository, reference, body)
        else:
            repository, rest = path.split("/blobs/")
            self._blob(repository, rest, query, body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _handle  # noqa: N815  # as the library calls them

    def _known(self) -> bool:
        users = self.server_registry.users
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        user, _, password = base64.b64decode(given).decode().partition(":")
        return not users or users.get(user) == password

    def _manifest(self, repository: str, reference: str, body: bytes) -> None:
        there = self.server_registry.manifests.setdefault(repository, {})
        if self.command == "PUT":
            there[reference] = there[_digest(body)] = (self.headers["Content-Type"], body)
            self._answer(201, {"Docker-Content-Digest": _digest(body)}, b"")
        elif reference in there:
            media_type, data = there[reference]
            self._answer(200, {"Content-Type": media_type, "Docker-Content-Digest": _digest(data)}, data)
        else:
            self._answer(404, {}, b"{}")

    def _blob(self, repository: str, rest: str, query: dict[str, str], body: bytes) -> None:
        blobs = self.server_registry.blobs.setdefault(repository, {})
        upload = f"/v2/{repository}/blobs/uploads/1"
        if self.command == "POST":
            source = self.server_registry.blobs.get(query.get("from", ""), {})
            if query.get("mount", "") in source:
                blobs[query["mount"]] = source[query["mount"]]
                self._answer(201, {"Location": f"/v2/{repository}/blobs/{query['mount']}"}, b"")
            else:
                self._answer(202, {"Location": upload, "Range": "0-0"}, b"")
        elif self.command == "PATCH":
            blobs["upload"] = blobs.get("upload", b"") + body
            self._answer(202, {"Location": upload, "Range": f"0-{len(blobs['upload']) - 1}"}, b"")
        elif self.command == "PUT":
            data = blobs.pop("upload", b"") + body
            assert _digest(data) == query["digest"]
            blobs[query["digest"]] = data
            self._answer(201, {"Location": f"/v2/{repository}/blobs/{query['digest']}"}, b"")
        elif rest in blobs:
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
            data = blobs[rest]
            ranged = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
            self._answer(206 if start else 200, ranged, data[start:])
        else:
            self._answer(404, {}, b"{}")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().strip(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass
