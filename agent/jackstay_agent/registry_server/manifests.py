"""Manifests as a registry gives them: found by tag or digest, with the bytes and the media type that they came with."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import DigestMismatch, InvalidDigest, InvalidDocument, InvalidReference, NotFound
from jackstay_agent.metadata import artifacts, images
from jackstay_agent.registry_server.accepting import accepts
from jackstay_agent.registry_server.refusals import Refusal
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import sniff_media_type
from jackstay_oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or index that is here."""

    digest: Digest
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a manifest is, and what it is; of an index, `inner` is the manifest of this host."""

    digest: Digest
    media_type: str = ""  # "" when no row says it: its bytes do
    inner: Digest | None = None


class Manifests:
    """The manifests of one agent."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content

    async def get(self, repository: str, reference: str, accepted: Iterable[str] = ()) -> Document:
        """What *reference*, a tag or a digest, means in the canonical *repository*, for a client that *accepted* media
        types; one that takes no index gets this host's manifest of it.

        Raises `Refusal` when nothing here is meant, or nothing that is accepted.
        """
        accepted = tuple(accepted)
        found = await self._found(repository, reference)
        document = await self._document(found, reference)
        if accepts(accepted, document.media_type):
            return document
        if found.inner is not None:
            inner = await self._document(_Found(found.inner), reference)
            if accepts(accepted, inner.media_type):
                return inner
        raise Refusal(
            404, "MANIFEST_UNKNOWN", f"{reference} is of media type {document.media_type}, which was not asked for"
        )

    async def _found(self, repository: str, reference: str) -> _Found:
        digest = digest_of(reference)
        if digest is not None:
            return await self._content.database.read(lambda c: _by_digest(c, digest))
        name = tagged(repository, reference)
        found = await self._content.database.read(lambda c: _by_name(c, name))
        if found is None:
            known = await self._content.database.read(lambda c: has_names(c, repository))
            if not known:
                raise Refusal(404, "NAME_UNKNOWN", f"nothing here is called {Reference.parse(repository).familiar}")
            raise unknown(Reference.parse(name).familiar)
        return found

    async def _document(self, found: _Found, reference: str) -> Document:
        try:
            data = await self._content.read_document(found.digest)
            return Document(found.digest, found.media_type or sniff_media_type(data), data)
        except (NotFound, InvalidDocument):
            raise unknown(reference) from None
        except DigestMismatch as error:
            raise Refusal(500, "UNKNOWN", f"{error.message}; {error.hint}") from error


def digest_of(reference: str) -> Digest | None:
    """The digest that *reference* is; None for a tag. Raises `Refusal` for one that is malformed."""
    if ":" not in reference:
        return None
    return parsed_digest(reference)


def parsed_digest(text: str) -> Digest:
    """The digest that *text* writes. Raises `Refusal`."""
    try:
        return Digest.parse(text)
    except InvalidDigest as error:
        raise Refusal(400, "DIGEST_INVALID", error.message) from error


def tagged(repository: str, tag: str) -> str:
    """The canonical name of the *tag* in the canonical *repository*. Raises `Refusal` for a malformed tag."""
    try:
        return str(Reference.parse(repository).with_tag(tag))
    except InvalidReference as error:
        raise Refusal(400, "MANIFEST_INVALID", error.message) from error


def has_names(connection: sqlite3.Connection, repository: str) -> bool:
    """Whether anything has a name in the canonical *repository*."""
    return bool(images.names_in(connection, repository) or artifacts.names_in(connection, repository))


def unknown(reference: str) -> Refusal:
    """The answer for a manifest that is not here."""
    return Refusal(404, "MANIFEST_UNKNOWN", f"there is no manifest {reference[:300]} on this host")


def _by_digest(connection: sqlite3.Connection, digest: Digest) -> _Found:
    row = images.by_root(connection, str(digest))
    if row is not None:
        return _image(row)
    artifact = artifacts.by_digest(connection, digest)
    return _Found(digest, "" if artifact is None else artifact.media_type)


def _by_name(connection: sqlite3.Connection, name: str) -> _Found | None:
    row = images.by_name(connection, name)
    if row is not None:
        return _image(row)
    artifact = artifacts.by_name(connection, name) or _named_elsewhere(connection, name)
    return None if artifact is None else _Found(artifact.digest, artifact.media_type)


def _named_elsewhere(connection: sqlite3.Connection, name: str) -> artifacts.Artifact | None:
    """What the tag of *name* attaches to an image in another repository: the image got its name in this one here."""
    reference = Reference.parse(name)
    about = artifacts.about(reference.tag or "")
    if about is None or not images.names_in(connection, reference.name):
        return None
    tagged = artifacts.tagged(connection, about)
    return next((one for other, one in tagged if Reference.parse(other).tag == reference.tag), None)


def _image(row: sqlite3.Row) -> _Found:
    inner = Digest(row["manifest"]) if media_types.is_index(row["media_type"]) else None
    return _Found(Digest(row["root"]), row["media_type"], inner)
