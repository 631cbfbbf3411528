"""A manifest is put here: what it makes of the blobs that were uploaded before it.

Guarantees that everything that it names is here and held before it is stored; that nothing has its name before all of
it is unpacked (`images.receiving`); and that the blobs are held until the image, or the artifact, keeps them. Under a
tag it becomes an image of that name. Under its digest alone, as clients put the manifests of an index before it, it is
an image without a name if this host can run it, and else is held until an index names it. What is no image, such as a
signature, becomes an artifact.
"""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass

from jackstay_agent.config import Limits
from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import DigestMismatch, Error, LimitExceeded, SourceFailed, Unsupported
from jackstay_agent.fetch.progress import Progress
from jackstay_agent.images.documents import MANIFESTS, Target
from jackstay_agent.images.receiving import Receiver
from jackstay_agent.metadata import artifacts, leases
from jackstay_agent.metadata import blobs as blob_rows
from jackstay_agent.metadata import images as image_rows
from jackstay_agent.registry_server.manifests import digest_of, tagged
from jackstay_agent.registry_server.refusals import Refusal
from jackstay_oci import media_types, platforms
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Index, Manifest, parse_manifest, sniff_media_type

_AT_ONCE = 2
"""Images that are unpacked at the same time."""


@dataclass(frozen=True, slots=True)
class Put:
    """A manifest that is here now, and what it is about."""

    digest: Digest
    subject: Digest | None


class Pusher:
    """Takes manifests; one for the whole agent."""

    def __init__(self, content: ContentStore, receiver: Receiver, limits: Limits) -> None:
        self._content = content
        self._receiver = receiver
        self._limits = limits
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def put(self, repository: str, reference: str, media_type: str, data: bytes) -> Put:
        """Take the manifest *data* under *reference*, a tag or its digest, in the canonical *repository*.

        Raises `Refusal` when it is malformed, not of that digest, or names what is not here; and what
        `Receiver.receive` raises.
        """
        digest = Digest.of(data)
        if (named := digest_of(reference)) is not None and named != digest:
            raise DigestMismatch(f"the manifest has the digest {digest}, not {named}")
        name = "" if named is not None else tagged(repository, reference)
        media_type = media_type or sniff_media_type(data)
        document = parse_manifest(data, media_type)
        root = Descriptor(media_type=media_type, digest=digest, size=len(data))
        async with self._turn, self._content.lease() as lease:
            await self._store(root, document, data, lease)
            try:
                await self._become(root, document, name, reference)
            except SourceFailed as error:  # what was here is damaged, and gone now: the next push brings it anew
                raise Refusal(404, "MANIFEST_BLOB_UNKNOWN", f"{error.message}; push it again") from error
            except Error as error:
                await self._content.let_go([digest])
                if isinstance(error, DigestMismatch):  # a layer is not what the image's config promises
                    raise Refusal(400, "MANIFEST_INVALID", f"{error.message}; {error.hint}") from error
                raise
        return Put(digest, document.subject.digest if document.subject else None)

    async def _store(self, root: Descriptor, document: Manifest | Index, data: bytes, lease: str) -> None:
        """Hold what *document* names by *lease*, see that it is here, and store the document."""
        named = [*document.manifests] if isinstance(document, Index) else [document.config, *document.layers]
        if len(named) > MANIFESTS:
            raise LimitExceeded(f"manifest {root.digest} names {len(named)} blobs, the bound is {MANIFESTS}")

        def keep(connection: sqlite3.Connection) -> None:
            for one in named:
                leases.keep_blob(connection, lease, one.digest)

        await self._content.database.write("registry.keep", keep)
        for one in named:
            if not await self._content.has(one.digest, one.size):
                raise Refusal(
                    404,
                    "MANIFEST_BLOB_UNKNOWN",
                    f"{one.digest} of {one.size} bytes, which the manifest names, is not on this host",
                    detail={"digest": str(one.digest)},
                )
        hold = await self._content.hold(root.digest)
        await self._content.put(data, hold, refers_to=[one.digest for one in named])

    async def _become(self, root: Descriptor, document: Manifest | Index, name: str, reference: str) -> None:
        about = artifacts.about(reference)
        if about is not None or not _is_image(document):
            await self._content.database.write("registry.artifact", lambda c: _artifact(c, root, document, name, about))
            keeper = about or (document.subject.digest if document.subject else None)
            if (name and about is None) or (keeper and await self._content.has(keeper)):
                await self._let_go(root.digest)
            return
        if document.subject is not None:
            await self._content.database.write("registry.about", lambda c: _artifact(c, root, document, "", None))
        if name:
            await self._receiver.receive(Target(root, (name,), all_platforms=True, event="pull"), [], _unheard)
            await self._content.database.write("registry.named", lambda c: artifacts.unname(c, name))
        else:
            here = platforms.this_host()
            target = Target(root, (), platform=here, all_platforms=True, event="pull")
            try:
                await self._receiver.receive(target, [], _unheard)
            except Unsupported:
                return
        await self._let_go(root.digest)

    async def _let_go(self, root: Digest) -> None:
        below = await self._content.database.read(lambda c: blob_rows.closure(c, root))
        await self._content.let_go([digest for digest, _size in below])


def _unheard(_step: Progress) -> None:
    """Nobody hears of the steps."""


def _is_image(document: Manifest | Index) -> bool:
    """Whether it can be run, as far as the document says."""
    if document.artifact_type:
        return False
    if isinstance(document, Index):
        return True
    return media_types.is_config(document.config.media_type) and all(
        media_types.is_layer(layer.media_type) for layer in document.layers
    )


def _artifact(
    connection: sqlite3.Connection, root: Descriptor, document: Manifest | Index, name: str, about: Digest | None
) -> None:
    kind = document.artifact_type or (document.config.media_type if isinstance(document, Manifest) else "")
    subject = document.subject.digest if document.subject else None
    artifacts.insert(
        connection,
        artifacts.Artifact(root.digest, root.media_type, kind, root.size, subject, document.annotations),
    )
    if name:
        image_rows.unname(connection, name)
        artifacts.name(connection, name, root.digest, about)
