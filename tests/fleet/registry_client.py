"""A client of a registry, of the standard library alone."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
from typing import Any

from tests.lab.images import Image

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"


class Client:
    """A client of the registry at ``127.0.0.1:PORT``, or on the Unix socket with the path *address*."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.sent = 0  # bytes of blobs

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any, bytes]:
        kind = _Unix if "/" in self.address else http.client.HTTPConnection
        connection = kind(self.address, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def blob(self, name: str, data: bytes) -> dict[str, Any]:
        """Upload what is not there; what a manifest says of it, but for its type."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if self.ask("HEAD", f"/v2/{name}/blobs/{digest}")[0] == 404:
            assert self.ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", data)[0] == 201
            self.sent += len(data)
        return {"digest": digest, "size": len(data)}

    def manifest(self, name: str, reference: str, document: dict[str, Any]) -> str:
        """Put a manifest; its digest."""
        body = json.dumps(document).encode()
        path = f"/v2/{name}/manifests/{reference or 'sha256:' + hashlib.sha256(body).hexdigest()}"
        status, headers, said = self.ask("PUT", path, body, Content_Type=MANIFEST)
        assert status == 201, said
        return str(headers["Docker-Content-Digest"])

    def push(self, image: Image, reference: str) -> str:
        """The digest of its manifest."""
        name, _, tag = reference.rpartition(":")
        layers = [{"mediaType": LAYER, **self.blob(name, path.read_bytes())} for path in image.layers]
        config = {"mediaType": CONFIG, **self.blob(name, image.config_bytes())}
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        return self.manifest(name, tag, document)


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
