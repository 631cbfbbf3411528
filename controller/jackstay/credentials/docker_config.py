"""docker's ``config.json``: whom registries know us as, or which program keeps that. Shared with docker and Podman.

Guarantees that what is in the file and not ours stays as it is, that a reader sees the old file or the new one, and
that only this user may read a file written here. Nothing of its content is in errors. Source: docker/cli,
``cli/config``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jackstay.errors import UsageError
from jackstay.inventory.replace_file import replace_file
from jackstay_oci.reference import DEFAULT_REGISTRY
from jackstay_oci.registry.tokens import Credential

HUB_KEY = "https://index.docker.io/v1/"
"""What docker calls Docker Hub here, since long ago."""

_HUB_HOSTS = (DEFAULT_REGISTRY, "index.docker.io", "registry-1.docker.io")
_KEY = re.compile(r"(?:https?://)?(?P<host>[^/]+)(?:/(?:v[12]/?)?)?")


def key_of(registry: str) -> str:
    """What docker calls the registry here and towards helpers."""
    return HUB_KEY if registry == DEFAULT_REGISTRY else registry


def registry_of(key: str) -> str | None:
    """The registry that a key means, however old the docker was that wrote it; ``None``: none, but a part of one."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    return DEFAULT_REGISTRY if found["host"] in _HUB_HOSTS else found["host"]


def config_path(environ: Mapping[str, str]) -> Path:
    """``$DOCKER_CONFIG/config.json``, else ``~/.docker/config.json``."""
    if folder := environ.get("DOCKER_CONFIG"):
        return Path(folder) / "config.json"
    return Path(environ.get("HOME") or Path.home()) / ".docker" / "config.json"


class DockerConfig:
    """The file as it was read; changes are in it after :meth:`save`. Reading and saving block."""

    def __init__(self, path: Path, document: dict[str, Any]) -> None:
        self.path = path
        self._document = document

    @classmethod
    def load(cls, path: Path) -> DockerConfig:
        """Read it; a missing or empty file says nothing.

        Raises:
            UsageError: it cannot be read, or is malformed.
        """
        try:
            text = path.read_text(encoding="utf-8")
            document = json.loads(text) if text.strip() else {}
        except FileNotFoundError:
            document = {}
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError):  # whose message may quote what is in the file
            raise UsageError(
                f"{path}: it is no JSON", hint="mend it, or name another folder in DOCKER_CONFIG"
            ) from None
        config = cls(path, document)
        config._check()
        return config

    def _check(self) -> None:
        if not isinstance(self._document, dict):
            raise self._malformed("it is no JSON object")
        for table, kind in (("auths", dict), ("credHelpers", str)):
            values = self._document.get(table)
            if values is None:
                continue
            if not isinstance(values, dict) or not all(isinstance(value, kind) for value in values.values()):
                raise self._malformed(f"{table!r} is not as docker writes it")
        if not isinstance(self._document.get("credsStore", ""), str | None):
            raise self._malformed("'credsStore' is no name of a program")

    def helper(self, registry: str) -> str | None:
        """The program ``docker-credential-NAME`` that keeps the registry's credential, by its NAME."""
        helpers: dict[str, str] = self._document.get("credHelpers") or {}
        own = next((name for key, name in helpers.items() if registry_of(key) == registry and name), None)
        return own or self._document.get("credsStore") or None

    def credential(self, registry: str) -> Credential | None:
        """What the file itself has for the registry.

        Raises:
            UsageError: it is malformed.
        """
        auths = self._auths()
        for key in self._keys(registry):
            if (found := self._parsed(key, auths[key])) is not None:
                return found
        return None

    def store(self, registry: str, credential: Credential) -> None:
        """Keep it in the file itself, in place of what was known before."""
        self.forget(registry)
        # As docker: with an identity token the user's name alone stands beside it.
        pair = f"{credential.username}:{'' if credential.identity_token else credential.password}"
        entry = {"auth": base64.b64encode(pair.encode()).decode()}
        if credential.identity_token:
            entry["identitytoken"] = credential.identity_token
        self._document["auths"] = self._auths() | {key_of(registry): entry}

    def note(self, registry: str) -> None:
        """Write down that a helper has something for the registry, as docker does for those who list them."""
        self.forget(registry)
        self._document["auths"] = self._auths() | {key_of(registry): {}}

    def forget(self, registry: str) -> bool:
        """Take away what is known of the registry; whether there was something."""
        auths, keys = self._auths(), list(self._keys(registry))
        if keys:
            self._document["auths"] = {key: value for key, value in auths.items() if key not in keys}
        return bool(keys)

    def save(self) -> None:
        """Write the file, readable for this user alone.

        Raises:
            UsageError: it cannot be written.
        """
        text = json.dumps(self._document, indent="\t", ensure_ascii=False)
        try:
            replace_file(self.path, text, keep_mode=False)
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be written: {error.strerror}") from None

    def _auths(self) -> dict[str, dict[str, Any]]:
        return self._document.get("auths") or {}

    def _keys(self, registry: str) -> Iterator[str]:
        """The keys that mean the registry, the one that docker writes today first."""
        keys = [key for key in self._auths() if registry_of(key) == registry]
        return iter(sorted(keys, key=lambda key: key != key_of(registry)))

    def _parsed(self, key: str, entry: dict[str, Any]) -> Credential | None:
        texts = [entry.get(name) or "" for name in ("auth", "username", "password", "identitytoken")]
        if not all(isinstance(text, str) for text in texts):
            raise self._malformed(f"what it says of {key} is not as docker writes it")
        auth, username, password, token = texts
        if auth:
            try:
                username, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
            except (binascii.Error, ValueError):
                colon = ""
            if not colon:
                raise self._malformed(f"'auth' of {key} is not base64 of USER:PASSWORD")
            password = password.rstrip("\0")
        if not (username or token):
            return None
        return Credential(username=username, password="" if token else password, identity_token=token)

    def _malformed(self, why: str) -> UsageError:
        return UsageError(f"{self.path}: {why}", hint="mend it, or log in again with docker")
