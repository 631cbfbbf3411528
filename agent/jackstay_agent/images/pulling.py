"""Pulling an image from a registry: what a reference names there comes to be here.

Guarantees: a name that is here and means what it means in the registry costs one question, those for what is attached
to it, and no bytes; the manifest is taken once; what is attached comes with the image. What a registry says, and not
that a source failed, is told.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import DigestMismatch, Error, InvalidReference, NotFound, SourceFailed
from jackstay_agent.fetch.connecting import Connect
from jackstay_agent.fetch.progress import Report
from jackstay_agent.fetch.registry import RegistrySource
from jackstay_agent.images.documents import Target
from jackstay_agent.images.receiving import Received, Receiver
from jackstay_agent.images.service import stored
from jackstay_agent.images.stored import StoredImage
from jackstay_agent.images.verifying import Verifier
from jackstay_agent.metadata import blobs as blob_rows
from jackstay_agent.metadata import images as image_rows
from jackstay_agent.metadata import pushed as pushed_rows
from jackstay_oci import media_types, platforms
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.reference import Reference
from jackstay_oci.registry.authorizing import Authorizer
from jackstay_oci.registry.registry import Document, Registry


@dataclass(frozen=True, slots=True)
class Pulled:
    """An image that is here now; `given` is how many bytes came from where."""

    received: Received
    given: dict[str, int]


class Puller:
    """Pulls images."""

    def __init__(
        self, content: ContentStore, receiver: Receiver, connect: Connect, verifier: Verifier | None = None
    ) -> None:
        self._content = content
        self._receiver = receiver
        self._connect = connect
        self._verifier = verifier or Verifier()

    def accept_relayed(self, target: Target) -> None:
        """Accept an image that the controller brings; one in place of a pull, if this host's policy lets it.

        Raises `PolicyRefused`.
        """
        if target.pulled:
            for name in target.names:
                self._verifier.accept_relayed(Reference.parse(name))

    async def pull(
        self,
        reference: str,
        authorizer: Authorizer,
        report: Report,
        *,
        platform: str = "",
        all_platforms: bool = False,
        verify_keys: Sequence[bytes] = (),
    ) -> Pulled:
        """Make the image of the canonical *reference* be here, under that name.

        With *verify_keys* (PEM) one of them must have signed it, also when it is here already; so must a key of this
        host's policy. Raises what `Verifier`, `Registry.manifest` and `Receiver.receive` raise, the registry's errors
        in place of `SourceFailed`.
        """
        wanted = platforms.parse(platform) if platform else None
        asked = name_of(Reference.parse(reference))
        demands = await self._verifier.demands(asked, verify_keys)
        if not (platform or all_platforms or demands) and (pushed := await self._pushed(asked)) is not None:
            return pushed
        registry = await self._connect(asked.registry, authorizer)
        try:
            here = await self._here(asked)
            root = await self._root(registry, asked, here)
            await self._verifier.verify(registry, asked.name, root.descriptor.digest, demands)
            source = RegistrySource(registry, asked.registry, asked.repository, root)
            ask = None if here is not None and asked.digest is not None else source.attached
            target = Target(root.descriptor, (str(asked),), wanted, all_platforms, event="pull")
            try:
                received = await self._receiver.receive(target, [source], report, ask)
            except Error as error:
                raise (isinstance(error, SourceFailed) and source.said) or _about(asked, error) from None
        finally:
            await registry.close()
        return Pulled(received, {source.name: source.given} if source.given else {})

    async def _pushed(self, asked: Reference) -> Pulled | None:
        """What is *asked* for by its digest, when it was pushed from here and is whole: nobody need be asked.

        Not of an image for several platforms: the one that runs here may be another than this host's.
        """
        if (digest := asked.digest) is None:
            return None

        def held(connection: sqlite3.Connection) -> tuple[StoredImage, Descriptor, dict[Digest, int]] | None:
            found = pushed_rows.find(connection, asked.name, digest)
            row = image_rows.by_root(connection, str(found[0])) if found else None
            if found is None or row is None or media_types.is_index(found[1].media_type):
                return None
            return stored(connection, row), found[1], dict(blob_rows.closure(connection, found[0]))

        known = await self._content.database.read(held)
        if known is None:
            return None
        image, root, sizes = known
        for blob, size in sizes.items():
            if not await self._content.has(blob, size):  # the registry's copy is whole
                return None
        self._receiver.record("image", "pull", str(image.image_id), {"name": asked.familiar}, image.labels)
        target = Target(root, (str(asked),), event="pull")
        return Pulled(Received(target, image.image_id, changed=False, sent=0, spared=sum(sizes.values())), {})

    async def _root(self, registry: Registry, asked: Reference, here: Document | None) -> Document:
        """What *asked* names. Registries that count how often they are asked do not count a question by HEAD."""
        if here is not None:
            if asked.digest is None:
                named = await registry.resolve(asked.repository, asked.tag or "")
            if asked.digest is not None or named.digest == here.descriptor.digest:
                return here
        return await registry.manifest(asked.repository, str(asked.digest) if asked.digest else asked.tag or "")

    async def _here(self, asked: Reference) -> Document | None:
        """What *asked* means on this host, if its manifest is whole."""

        def work(connection: sqlite3.Connection) -> sqlite3.Row | None:
            if asked.digest is not None:
                return image_rows.by_root(connection, str(asked.digest))
            return image_rows.by_name(connection, str(asked))

        row = await self._content.database.read(work)
        if row is None:
            return None
        digest = Digest(row["root"])
        try:
            data = await self._content.read_document(digest)
        except (NotFound, DigestMismatch):  # damaged; it is fetched again
            return None
        return Document(Descriptor(media_type=row["media_type"], digest=digest, size=len(data)), data)


def _about(asked: Reference, error: Error) -> Error:
    """The same error, of what was pulled: documents and layers are named by digests alone."""
    named = asked.familiar in error.message
    message = error.message if named else f"{asked.familiar}: {error.message}"
    return type(error)(message, hint=error.hint or "ask whoever pushed the image")


def name_of(reference: Reference) -> Reference:
    """The name that a pulled image gets: with its digest, when that was asked for, as docker names it; else with a tag.

    Raises `InvalidReference` when the name reads as a digest.
    """
    if reference.familiar_name == "sha256":
        raise InvalidReference(f"{reference.familiar!r} cannot name an image: it reads as a digest")
    return reference.with_digest(reference.digest) if reference.digest else reference.with_default_tag()
