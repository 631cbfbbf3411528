"""A token server for the Distribution registry (bearer tokens; the protocol of Docker's registries)."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.lab.place import LOOPBACK, Place
from tests.registries.authority import Authority
from tests.registries.server import Server
from tests.registries.token_rules import Asked, Rules, issue, pair_in


class TokenServer(Server):
    """Gives scoped tokens to its ``users`` (name and password), and to everybody what ``rights[""]`` says.

    GET with basic, POST with a password or an identity token. ``authority`` makes it speak TLS.
    """

    def __init__(
        self,
        folder: Path,
        place: Place = LOOPBACK,
        *,
        users: Mapping[str, str],
        rights: Mapping[str, list[str]] | None = None,
        authority: Authority | None = None,
        service: str = "the-registry",
    ) -> None:
        super().__init__(folder, place)
        self._authority = authority
        self._server = authority.server(place.address) if authority else None
        signing = Authority(folder / "signing", "Who signs tokens").server("token-signer")
        shutil.copy(signing.certificate, pair_in(folder).certificate)
        shutil.copy(signing.key, pair_in(folder).key)
        self._bundle = folder / "signing" / "ca.crt"
        self.rules = Rules(service, dict(users), dict(rights or {}))
        self.change()

    def command(self) -> Sequence[str]:
        """Its program, in this Python."""
        certificate = [str(self._server.certificate), str(self._server.key)] if self._server else []
        program = [sys.executable, "-m", "tests.registries.token_program"]
        return [*program, str(self.folder), self.place.address, str(self.port), *certificate]

    @property
    def realm(self) -> str:
        """Its URL."""
        return f"{'https' if self._authority else 'http'}://{self.name}/token"

    def change(self, **rules: Any) -> None:
        """Let other :class:`Rules` hold from now on."""
        for name, value in rules.items():
            setattr(self.rules, name, value)
        written = self.folder / "rules.json.new"
        written.write_text(json.dumps(asdict(self.rules)))
        os.replace(written, self.folder / "rules.json")

    def give_stale_tokens(self, count: int) -> None:
        """Let the next ``count`` tokens be expired when they are given, though they are said to be good."""
        self.change(stale_until=len(self.asked()) + count)

    def fail(self, count: int) -> None:
        """Answer the next ``count`` requests with 503."""
        self.change(fails_until=len(self.asked()) + count)

    def asked(self) -> list[Asked]:
        """What it was asked for, oldest first."""
        lines = [json.loads(line) for line in self.printed.read_text().splitlines()]
        return [Asked(**{**line, "scopes": tuple(line["scopes"])}) for line in lines]

    def issue(self, access: list[dict[str, Any]]) -> str:
        """A token for the tests' own questions, without asking."""
        return issue(self.rules, pair_in(self.folder), "the tests", access)

    def registry_config(self) -> dict[str, str]:
        """The ``auth.token`` part of a registry's configuration."""
        return {
            "realm": self.realm,
            "service": self.rules.service,
            "issuer": "the tests",
            "rootcertbundle": str(self._bundle),
        }
