"""The Distribution registry of Debian (``docker-registry``), the real one that the tests pull from and push to."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lab.place import LOOPBACK, Place
from tests.registries.access_log import Request, requests_in
from tests.registries.authority import Authority, Pair
from tests.registries.htpasswd import write_htpasswd
from tests.registries.server import Server
from tests.registries.token_server import TokenServer


class Distribution(Server):
    """One registry, empty at first, with deletion allowed and everything in ``folder``.

    Plain unless ``authority`` is given, which then also says whose client certificates it wants (``clients``). Open to
    everybody, or to the ``users`` (name and password, basic), or to whom ``tokens`` gives a token (bearer).
    ``mirror_of`` is the URL of a registry whose images it gets and gives.
    """

    def __init__(
        self,
        folder: Path,
        place: Place = LOOPBACK,
        *,
        users: Mapping[str, str] | None = None,
        tokens: TokenServer | None = None,
        authority: Authority | None = None,
        clients: Authority | None = None,
        mirror_of: str = "",
    ) -> None:
        super().__init__(folder, place)
        self.users = dict(users or {})
        self.tokens = tokens
        self.authority = authority
        self.client = clients.client("the-tests") if clients else None
        """A client's pair that it takes."""
        self._clients = clients
        self._mirror_of = mirror_of
        self._server: Pair | None = authority.server(place.address, "localhost") if authority else None

    def command(self) -> Sequence[str]:
        """The registry, with its configuration written anew."""
        path = self.folder / "config.yml"
        path.write_text(json.dumps(self._config()))  # JSON is YAML, too
        return ["docker-registry", "serve", str(path)]

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"{'https' if self.authority else 'http'}://{self.name}"

    def requests(self) -> list[Request]:
        """What it was asked and has answered, oldest first, without what this class itself asks."""
        # A request is logged when its handler ends: wait for that of one that comes after all others.
        mark = f"/v2/?{secrets.token_hex(8)}"
        self.ask("GET", mark)
        deadline = time.monotonic() + 10
        while mark not in (text := self.printed.read_text()):
            assert time.monotonic() < deadline, "the access log does not show a request"
            time.sleep(0.01)
        return [request for request in requests_in(text) if request.agent != _AGENT]

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask it, as its first user or with every right: status, headers in lower case, body."""
        path = path[path.index("/v2/") :]  # a location may be a whole URL
        sent = {"User-Agent": _AGENT, **self._authorization(path), **(headers or {})}
        connection: http.client.HTTPConnection
        if self.authority:
            context = self.authority.context(self.client)
            connection = http.client.HTTPSConnection(self.place.address, self.port, timeout=30, context=context)
        else:
            connection = http.client.HTTPConnection(self.place.address, self.port, timeout=30)
        try:
            connection.request(method, path, body or None, sent)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def blobs(self) -> dict[str, Path]:
        """The files of all blobs in its storage, manifests among them, by digest."""
        top = self.folder / "storage/docker/registry/v2/blobs/sha256"
        return {f"sha256:{path.parent.name}": path for path in sorted(top.glob("??/*/data"))}

    def _authorization(self, path: str) -> dict[str, str]:
        if self.users:
            user, password = next(iter(self.users.items()))
            return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
        if self.tokens:
            return {"Authorization": f"Bearer {self.tokens.issue(_access(path))}"}
        return {}

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"accesslog": {"disabled": False}, "level": "info"},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "storage")},
                "delete": {"enabled": True},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": {"addr": f"{self.place.address}:{self.port}", "secret": "the same for every start"},
        }
        if self._server:
            config["http"]["tls"] = {
                "certificate": str(self._server.certificate),
                "key": str(self._server.key),
                "minimumtls": "tls1.2",
            }
            if self._clients:
                config["http"]["tls"]["clientcas"] = [str(self._clients.certificate)]
        if self.users:
            path = write_htpasswd(self.folder / "htpasswd", self.users)
            config["auth"] = {"htpasswd": {"realm": "the tests", "path": str(path)}}
        if self.tokens:
            config["auth"] = {"token": self.tokens.registry_config()}
        if self._mirror_of:
            config["proxy"] = {"remoteurl": self._mirror_of}
        return config


_AGENT = "the-tests"


def _access(path: str) -> list[dict[str, Any]]:
    """Every right on the repository that a path is about."""
    if path.startswith("/v2/_catalog"):
        return [{"type": "registry", "name": "catalog", "actions": ["*"]}]
    repository = path.removeprefix("/v2/").partition("?")[0]
    for part in ("/blobs/", "/manifests/", "/tags/", "/referrers/"):
        repository = repository.partition(part)[0]
    if not repository:
        return []
    return [{"type": "repository", "name": repository, "actions": ["pull", "push", "delete"]}]
