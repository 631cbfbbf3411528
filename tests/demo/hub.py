"""The registry of the walkthrough: what Docker Hub is to many, on a machine of its own on the lab's switch.

Everybody may pull from it, one user may push. It speaks TLS under an own CA, on the port that needs no name.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.lab import Lab
from tests.registries.authority import Authority
from tests.registries.distribution import Distribution
from tests.registries.token_server import TokenServer

USER = "alice"
PASSWORD = "hawser and bollard 12"
HTTPS = 443


class Hub:
    """The registry and who gives tokens for it. While it is open, hosts and laptop trust it, and web1 and web2 take it
    as the mirror of Docker Hub."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        place = lab.server_place()
        self.address = place.address
        """Its name in those of images: the port is HTTPS's."""
        self._hosts = [lab.hosts["web1"], lab.hosts["web2"]]
        self._authority = Authority(folder / "ca")
        self._tokens = TokenServer(
            folder / "tokens",
            place,
            users={USER: PASSWORD},
            rights={USER: ["pull", "push"], "": ["pull"]},
            authority=self._authority,
        )
        self.registry = Distribution(folder / "registry", place, tokens=self._tokens, authority=self._authority)
        self.registry.port = HTTPS
        self.certs = lab.dir / "laptop" / "config" / "jackstay" / "certs.d"
        """Where the laptop has what it trusts."""
        self._certs = [self.certs, *(etc / "certs.d" for etc in lab.dir.glob("hosts/web*/etc"))]
        self._settings = {lab.dir / "hosts" / host.name / "etc" / "jackstayd.toml": "" for host in self._hosts}

    def __enter__(self) -> Self:
        self._tokens.start()
        self.registry.start()
        for certs in self._certs:
            for name in (self.address, f"{self.address}:{HTTPS}"):
                self._authority.trust(certs, name)
        for path in self._settings:
            self._settings[path] = path.read_text() if path.exists() else ""
            path.write_text(f'{self._settings[path]}[registries.mirrors]\n"docker.io" = ["https://{self.address}"]\n')
        for host in self._hosts:
            host.agent.stop()
            host.agent.start(wait=None)
        for host in self._hosts:
            host.agent.wait_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The hosts' settings are as before; agents read them when they are started the next time."""
        for path, text in self._settings.items():
            path.write_text(text)
        self.registry.stop()
        self._tokens.stop()
