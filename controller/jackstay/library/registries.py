"""Registries, as this machine sees them: who we are there, what they have. No host is asked.

Credentials are docker's, in its ``config.json`` or with the program that it names, and go to the registry alone.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from jackstay.credentials import keeping
from jackstay.credentials.docker_config import registry_of
from jackstay.credentials.lookup import credentials, lookup
from jackstay.errors import InvalidReference, NotFound, Unauthorized, UsageError
from jackstay.inventory.registry_settings import registry_settings
from jackstay_oci.reference import DEFAULT_REGISTRY, Reference

if TYPE_CHECKING:
    from jackstay_oci.registry.client import RegistryClient
    from jackstay_oci.registry.tokens import Credential, Lookup


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image that a search found."""

    name: str  # as docker shortens it
    description: str = ""
    stars: int = 0
    official: bool = False
    automated: bool = False


def registry_name(text: str) -> str:
    """The registry that a user means: ``registry.example:5000``, also as a URL; empty: Docker Hub.

    Raises:
        UsageError: it is malformed.
    """
    name = registry_of(text) if text else DEFAULT_REGISTRY
    try:
        if name is not None and Reference.parse(f"{name}/name").registry == name:
            return name
    except InvalidReference:
        pass
    raise UsageError(f"{text[:200]!r} is no registry", hint="write HOST or HOST:PORT: registry.example:5000")


async def open_registry(
    registry: str, environ: Mapping[str, str] = os.environ, known: Lookup | None = None
) -> RegistryClient:
    """A client of the registry, which the caller closes; it knows us by ``known``, else by what docker knows.

    Raises:
        UsageError: the settings of registries are malformed.
    """
    from jackstay_oci.registry.client import connect
    from jackstay_oci.registry.tokens import PasswordAuthorizer

    settings = registry_settings(environ)
    return await connect(registry, PasswordAuthorizer(known or credentials(environ), settings), settings)


@asynccontextmanager
async def opened(
    registry: str, environ: Mapping[str, str] = os.environ, known: Lookup | None = None
) -> AsyncIterator[RegistryClient]:
    """:func:`open_registry`, closed at the end of the block."""
    client = await open_registry(registry, environ, known)
    try:
        yield client
    finally:
        await client.close()


async def known_as(registry: str, environ: Mapping[str, str] = os.environ) -> Credential | None:
    """The credential that is kept for the registry.

    Raises:
        UsageError, HelperFailed: see :func:`jackstay.credentials.lookup.lookup`.
    """
    return await lookup(registry, environ)


async def check(registry: str, credential: Credential, environ: Mapping[str, str] = os.environ) -> None:
    """Ask the registry whether it takes the credential.

    Raises:
        Unauthorized: it does not.
        Error: the others of a registry.
    """

    async def given(name: str) -> Credential | None:
        return credential if name == registry else None

    async with opened(registry, environ, given) as client:
        try:
            await client.check()
        except Unauthorized as error:
            error.hint = "check the name and the password"  # to log in is what was tried
            raise


async def log_in(registry: str, credential: Credential, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Keep a credential that the registry takes; the file in which it lies unencrypted, if it does.

    Raises:
        Unauthorized: it does not take it; nothing was kept.
        UsageError, HelperFailed: see :func:`jackstay.credentials.keeping.store`.
        Error: the others of a registry.
    """
    await check(registry, credential, environ)
    return await keeping.store(registry, credential, environ)


async def log_out(registry: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Forget the credential; whether there was one. The registry is not asked."""
    return await keeping.erase(registry, environ)


async def repositories(registry: str, pattern: str = "*", environ: Mapping[str, str] = os.environ) -> list[str]:
    """The repositories of a registry that offers its catalogue, whose names fit the pattern (``team/*``).

    Raises:
        NotFound: it offers none.
        Error: the others of a registry.
    """
    async with opened(registry, environ) as client:
        try:
            return [name async for name in client.repositories() if fnmatchcase(name, pattern)]
        except (NotFound, Unauthorized) as error:
            hint = error.hint if isinstance(error, Unauthorized) and registry != DEFAULT_REGISTRY else ""
            raise type(error)(
                f"{registry} does not list its repositories to us",
                hint=hint or "many registries offer no catalogue: `jackstay registry tags NAME` lists one repository",
            ) from None


async def tags(name: str, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The tags of a repository, ``httpd`` or ``registry.example:5000/team/app``.

    Raises:
        UsageError: the name has a tag or a digest.
        InvalidReference: it is malformed.
        Error: those of a registry.
    """
    reference = Reference.parse(name)
    if reference.tag or reference.digest:
        raise UsageError(f"{name} has a tag or a digest", hint=f"write {reference.familiar_name}")
    async with opened(reference.registry, environ) as client:
        return [tag async for tag in client.tags(reference.repository)]


async def search(
    registry: str, term: str, limit: int = 25, environ: Mapping[str, str] = os.environ
) -> list[FoundImage]:
    """Images whose names have the term in them: Docker Hub is searched, of other registries the catalogue is read.

    Raises:
        NotFound: the registry offers no catalogue.
        Error: the others of a registry.
    """
    if registry == DEFAULT_REGISTRY:
        from jackstay.library.hub_search import search_hub

        return await search_hub(term, limit, environ)
    found = await repositories(registry, environ=environ)
    wanted = term.lower()
    return [FoundImage(f"{registry}/{name}") for name in found if wanted in name][:limit]
