"""Deleting by the store's rules: a tag is untagged, as `rmi` does it, a manifest goes with its tags in the repository,
a blob goes when nothing needs it."""

from __future__ import annotations

import sqlite3

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import InUse, NotFound
from jackstay_agent.events.event import Record
from jackstay_agent.gc.collect import Collector
from jackstay_agent.images import removing
from jackstay_agent.metadata import artifacts
from jackstay_agent.metadata import blobs as blob_rows
from jackstay_agent.metadata import images as image_rows
from jackstay_agent.registry_server.manifests import digest_of, tagged, unknown
from jackstay_agent.registry_server.refusals import Refusal
from jackstay_oci.digest import Digest
from jackstay_oci.reference import Reference


class Deleter:
    """Deletes in one agent; *record* notes what was done to images."""

    def __init__(self, content: ContentStore, collector: Collector, record: Record) -> None:
        self._content = content
        self._collector = collector
        self._record = record

    async def manifest(self, repository: str, reference: str) -> None:
        """Delete what *reference*, a tag or a digest, means in the canonical *repository*.

        Raises `Refusal` when it means nothing, `InUse` when a container needs it.
        """
        digest = digest_of(reference)
        if digest is None:
            name = tagged(repository, reference)
            if await self._content.database.write("registry.untag", lambda c: artifacts.unname(c, name)):
                await self._collector.collect()
                return
            await self._remove(Reference.parse(name).familiar, reference)
            return
        if not await self._content.has(digest):  # asked first: letting go of it may collect it at once
            raise unknown(reference)
        names = await self._content.database.read(lambda c: _names(c, repository, digest))
        for name in names:
            await self._remove(Reference.parse(name).familiar, reference)
        gone = await self._content.database.write("registry.delete", lambda c: artifacts.delete(c, digest))
        await self._content.let_go([digest])
        if names or gone:
            await self._collector.collect()
            return
        if await self._content.database.read(lambda c: image_rows.by_root(c, str(digest))) is not None:
            if await self._content.database.read(lambda c: image_rows.names_of(c, str(digest))):
                raise unknown(reference)  # its names are in other repositories
            await self._remove(str(digest), reference)
        elif not await self._collected(digest):
            raise InUse(f"manifest {digest} is needed by an image", hint="delete that image's tags")

    async def blob(self, digest: Digest) -> None:
        """Delete a blob that nothing needs. Raises `Refusal` when it is not here, or needed."""
        if not await self._content.has(digest):
            raise Refusal(404, "BLOB_UNKNOWN", f"there is no blob {digest} on this host")
        await self._content.let_go([digest])
        if not await self._collected(digest):
            raise Refusal(405, "UNSUPPORTED", f"blob {digest} is needed by an image, and goes with it")

    async def _collected(self, digest: Digest) -> bool:
        await self._collector.collect()
        return await self._content.database.read(lambda c: blob_rows.size_of(c, digest)) is None

    async def _remove(self, text: str, reference: str) -> None:
        try:
            removed = await removing.remove(self._content.database, self._collector, text, force=False)
        except NotFound:
            raise unknown(reference) from None
        removing.tell(self._record, removed)


def _names(connection: sqlite3.Connection, repository: str, digest: Digest) -> list[str]:
    """The image's names in the *repository*. Raises `InUse` when all of its names are, and a container needs it."""
    every = image_rows.names_of(connection, str(digest))
    found = [name for name in every if name.startswith(f"{repository}:")]
    users = image_rows.users(connection, str(digest))
    if users and len(found) == len(every):
        raise InUse(f"image {digest} is used by the container {users[0]['name']}", hint="remove the container first")
    return found
