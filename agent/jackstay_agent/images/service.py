"""Images on this host: found, described, named.

Reads the rows and documents of images and changes their names; receiving, saving, removing and listing have files of
their own beside this one. A name is always canonical here ("docker.io/library/httpd:1.1"); what a user typed is turned
into one by `find` and `tag`.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import Ambiguous, InvalidReference, NotFound
from jackstay_agent.events.event import Record, unrecorded
from jackstay_agent.images import description
from jackstay_agent.images.sizes import LayerSizes
from jackstay_agent.images.stored import StoredImage
from jackstay_agent.metadata import blobs as blob_rows
from jackstay_agent.metadata import images as rows
from jackstay_agent.metadata import leases
from jackstay_agent.metadata import pushed as pushed_rows
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Index, Manifest, parse_config, parse_manifest
from jackstay_oci.image_config import ImageConfig
from jackstay_oci.reference import Reference

_HEX = re.compile(r"[0-9a-f]{1,64}", re.ASCII)


class Images:
    """The images of this host."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content
        self._database = content.database
        self.record: Record = unrecorded

    async def find(self, text: str) -> StoredImage:
        """The image that *text* means: a reference, ``repository@digest``, an id, or the start of one.

        Raises `NotFound`, `Ambiguous` when the start of an id fits several, `InvalidReference`.
        """
        return await self._database.read(lambda c: find(c, text))

    async def by_root(self, root: str) -> StoredImage:
        """The image under *root*. Raises `NotFound`."""

        def work(connection: sqlite3.Connection) -> StoredImage:
            row = rows.by_root(connection, root)
            if row is None:
                raise NotFound(f"No such image: {root}")
            return stored(connection, row)

        return await self._database.read(work)

    async def config(self, image: StoredImage) -> ImageConfig:
        """The image's config."""
        return parse_config(await self.raw_config(image))

    async def raw_config(self, image: StoredImage) -> bytes:
        """The bytes of the image's config, whose digest is the image id."""
        return await self._content.read_document(image.image_id)

    async def manifest(self, image: StoredImage) -> Manifest:
        """The manifest of this host's platform."""
        raw = await self._content.read_document(image.manifest)
        document = parse_manifest(raw, await self._manifest_type(image))
        assert isinstance(document, Manifest)
        return document

    async def manifest_descriptor(self, image: StoredImage) -> Descriptor:
        """The descriptor of this host's platform's manifest."""
        size = len(await self._content.read_document(image.manifest))
        return Descriptor(media_type=await self._manifest_type(image), digest=image.manifest, size=size)

    async def root(self, image: StoredImage) -> Descriptor:
        """The descriptor of the image's manifest or index."""
        size = len(await self._content.read_document(image.root))
        return Descriptor(media_type=image.media_type, digest=image.root, size=size)

    async def inspect(self, text: str, driver: str) -> dict[str, Any]:
        """Docker's document of the image that *text* means; *driver* is the storage driver's name.

        Raises what `find` raises.
        """

        def work(connection: sqlite3.Connection) -> tuple[StoredImage, int, int, set[Digest]]:
            image = find(connection, text)
            size = LayerSizes.read(connection).total(image.chain_id)
            here = {digest for digest, _size in blob_rows.closure(connection, image.root)}
            return image, size, rows.tagged_at(connection, str(image.image_id)), here

        image, size, tagged, here = await self._database.read(work)
        root = await self.root(image)
        facts = description.Stored(root, size, driver, tagged, await self._index(image), here)
        raw = await self.raw_config(image)
        return description.inspect(image, raw, parse_config(raw), facts)

    async def history(self, text: str) -> list[description.HistoryLine]:
        """Docker's `history` of the image that *text* means, newest first. Raises what `find` raises."""
        image, sizes = await self._database.read(lambda c: (find(c, text), LayerSizes.read(c)))
        return description.history(image, await self.config(image), sizes)

    async def layers(self, texts: Sequence[str] = ()) -> list[tuple[StoredImage, list[description.ImageLayer]]]:
        """The images that *texts* mean (none: every image, newest first), each id once, with its layers, lowest first.

        Of an image that has several manifests the names of all are told. Raises what `find` raises.
        """

        def work(connection: sqlite3.Connection) -> tuple[list[StoredImage], LayerSizes]:
            found = [stored(connection, row) for row in rows.all_rows(connection)]
            if texts:
                asked = {find(connection, text).image_id for text in texts}
                found = [image for image in found if image.image_id in asked]
            return found, LayerSizes.read(connection)

        found, sizes = await self._database.read(work)
        images: dict[Digest, StoredImage] = {}
        for image in found:
            first = images.setdefault(image.image_id, image)
            if first is not image:
                images[image.image_id] = replace(first, names=tuple(sorted({*first.names, *image.names})))
        told = []
        for image in images.values():
            try:
                told.append((image, description.layers(await self.config(image), sizes)))
            except NotFound:  # removed since
                continue
        return told

    @asynccontextmanager
    async def resolve(self, text: str) -> AsyncIterator[tuple[StoredImage, list[tuple[Digest, int]]]]:
        """The image that *text* means and its blobs here with sizes, the root first; held for the time of the block.

        Raises what `find` raises.
        """
        async with self._content.lease() as lease:

            def work(connection: sqlite3.Connection) -> tuple[StoredImage, list[tuple[Digest, int]]]:
                image = find(connection, text)
                closure = blob_rows.closure(connection, image.root)
                for digest, _size in closure:
                    leases.keep_blob(connection, lease, digest)
                return image, closure

            yield await self._database.write("images.resolved", work)

    async def tag(self, source: str, target: str) -> None:
        """Give the image *source* the name *target* too; whatever had it loses it.

        Raises what `find` raises, and `InvalidReference` for a target that `canonical_name` refuses.
        """
        canonical = canonical_name(target)

        def work(connection: sqlite3.Connection) -> StoredImage:
            image = find(connection, source)
            rows.name(connection, canonical, image.root)
            rows.tagged(connection, image.root, time.time_ns())
            return image

        image = await self._database.write("images.tag", work)
        self.record("image", "tag", str(image.image_id), {"name": Reference.parse(canonical).familiar}, image.labels)

    async def _manifest_type(self, image: StoredImage) -> str:
        index = await self._index(image)
        if index is None:
            return image.media_type
        return next(item.media_type for item in index.manifests if item.digest == image.manifest)

    async def _index(self, image: StoredImage) -> Index | None:
        """What the image was chosen from, if its root is an index."""
        if image.manifest == image.root:
            return None
        index = parse_manifest(await self._content.read_document(image.root), image.media_type)
        assert isinstance(index, Index)
        return index


def canonical_name(text: str) -> str:
    """The canonical reference with tag for *text*.

    Raises `InvalidReference`, also when it has a digest or reads as one.
    """
    reference = Reference.parse(text)
    if reference.digest is not None:
        raise InvalidReference(f"{text!r} cannot name an image: it has a digest", hint="give a name and a tag")
    if reference.familiar_name == "sha256":
        raise InvalidReference(f"{text!r} cannot name an image: it reads as a digest", hint="give another name")
    return str(reference.with_default_tag())


def name_meant(text: str, names: Sequence[str]) -> str | None:
    """Which of an image's *names* the user's *text* is; None when it is an id, or a digest."""
    try:
        asked = canonical_name(text)
    except InvalidReference:
        return None
    return asked if asked in names else None


def stored(connection: sqlite3.Connection, row: sqlite3.Row) -> StoredImage:
    """The value of an image's row, with its names."""
    return StoredImage(
        root=Digest(row["root"]),
        media_type=row["media_type"],
        manifest=Digest(row["manifest"]),
        image_id=Digest(row["image_id"]),
        chain_id=row["chain_id"],
        names=rows.names_of(connection, row["root"]),
        created=row["created"],
        stored=row["stored"],
        labels=json.loads(row["labels"]),
        pushed=pushed_rows.of_root(connection, row["root"]),
    )


def find(connection: sqlite3.Connection, text: str) -> StoredImage:
    """See `Images.find`; here within a transaction."""
    named = _by_reference(connection, text)
    if named is not None:
        return stored(connection, named)
    digits = text.removeprefix("sha256:")
    matches: Sequence[sqlite3.Row] = rows.by_id_prefix(connection, digits) if _HEX.fullmatch(digits) else ()
    if len({row["image_id"] for row in matches}) > 1:
        raise Ambiguous(f"the id {text!r} fits several images", hint="give more digits of it")
    if not matches:
        raise NotFound(f"No such image: {_shown(text)}", hint="see the images here with: jackstay images")
    return stored(connection, matches[0])


def _by_reference(connection: sqlite3.Connection, text: str) -> sqlite3.Row | None:
    try:
        reference = Reference.parse(text)
    except InvalidReference:
        if _HEX.fullmatch(text.removeprefix("sha256:")):
            return None
        raise
    if reference.digest is None:
        return rows.by_name(connection, str(reference.with_default_tag()))
    row = rows.by_root(connection, str(reference.digest))
    if row is not None and any(
        Reference.parse(name).name == reference.name for name in rows.names_of(connection, row["root"])
    ):
        return row
    pushed = pushed_rows.find(connection, reference.name, reference.digest)
    return rows.by_root(connection, pushed[0]) if pushed else None


def _shown(text: str) -> str:
    try:
        return Reference.parse(text).with_default_tag().familiar
    except InvalidReference:
        return text
