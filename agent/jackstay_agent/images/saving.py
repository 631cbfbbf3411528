"""Saving images: an archive as a stream.

A thread of its own writes the archive, the caller takes it piece by piece, so that memory stays at a few pieces
whatever the images' size, and a slow reader slows the writer and nobody else. A lease keeps the images while it lasts.
The same images give the same bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from typing import Literal, cast

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import DigestMismatch, InvalidArgument, InvalidReference
from jackstay_agent.images.service import Images, find, name_meant
from jackstay_agent.images.stored import StoredImage
from jackstay_agent.kernel.handover import Handover
from jackstay_agent.kernel.threads import begin, to_end
from jackstay_agent.metadata import blobs as blob_rows
from jackstay_agent.metadata import images as image_rows
from jackstay_agent.metadata import leases
from jackstay_oci import platforms
from jackstay_oci.archives.saving import ImageToSave
from jackstay_oci.archives.writing import write_archive
from jackstay_oci.compression import compressing
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Platform
from jackstay_oci.reference import Reference

_PIECE = 1 << 20
_FORMATS = ("docker", "oci")
_COMPRESSIONS = ("none", "gzip", "zstd")


class Saver:
    """Saves images."""

    def __init__(self, content: ContentStore, images: Images) -> None:
        self._content = content
        self._images = images

    async def save(
        self, names: Sequence[str], form: str, compression: str, platform: str = ""
    ) -> AsyncGenerator[bytes, None]:
        """The archive of the images *names* in pieces of at most 1 MiB.

        *form* is "docker" or "oci", *compression* "none", "gzip" or "zstd" of the whole archive. Of an index, all that
        is here goes in, or with *platform* ("os/architecture[/variant]") only the image for it. For the names that the
        images get see `meant`. Raises what `Images.find` raises, `InvalidArgument`, `NotFound` for an image that is not
        for *platform*, and `DigestMismatch` for a damaged blob, which the next load repairs.
        """
        if not names:
            raise InvalidArgument("no image to save", hint="name at least one image")
        if form not in _FORMATS:
            raise InvalidArgument(f"unknown archive format {form!r}", hint="formats: docker, oci")
        if compression not in _COMPRESSIONS:
            raise InvalidArgument(f"unknown compression {compression!r}", hint="compressions: none, gzip, zstd")
        wanted = platforms.parse(platform) if platform else None
        async with self._content.lease() as lease:
            images, held = await self._hold(names, lease)
            handover = Handover(piece=_PIECE)
            writer = begin(self._write, handover, images, form, compression, wanted)
            try:
                while piece := await handover.take():
                    yield piece
                await asyncio.shield(writer)
            except DigestMismatch:
                for digest in held:  # a load that finds all of them here would look no further
                    await self._content.drop_if_damaged(digest)
                raise
            finally:
                handover.close()  # a writer that is not done finds that nobody takes, and ends
                await to_end(asyncio.wait([writer]))
                writer.exception()  # taken, when the caller has gone

    async def _hold(self, names: Sequence[str], lease: str) -> tuple[list[ImageToSave], set[Digest]]:
        """What to save, and all of its blobs, which *lease* holds now."""
        held: set[Digest] = set()
        told: list[tuple[StoredImage, tuple[str, ...]]] = []

        def work(connection: sqlite3.Connection) -> dict[Digest, list[str]]:
            roots: dict[Digest, list[str]] = {}
            told[:] = [found for text in names for found in meant(connection, text)]
            for image, given in told:
                if image.root not in roots:
                    for digest, _size in blob_rows.closure(connection, image.root):
                        leases.keep_blob(connection, lease, digest)
                        held.add(digest)
                roots.setdefault(image.root, []).extend(given)
            return roots

        roots = await self._content.database.write("images.save", work)
        for image, given in told:
            name = Reference.parse(given[0]).familiar if given else str(image.image_id)
            self._images.record("image", "save", str(image.image_id), {"name": name}, image.labels)
        images = []
        for root, kept in roots.items():
            descriptor = await self._images.root(await self._images.by_root(str(root)))
            images.append(ImageToSave(names=tuple(kept), manifest=descriptor))
        return images, held

    def _write(
        self, handover: Handover, images: list[ImageToSave], form: str, compression: str, platform: Platform | None
    ) -> None:
        kind = cast(Literal["none", "gzip", "zstd"], compression)
        try:
            out = compressing(handover, kind)
            write_archive(out, images, self._content.blobs, cast(Literal["docker", "oci"], form), platform=platform)
            out.close()
            handover.flush()
        except BrokenPipeError:
            return
        finally:
            with contextlib.suppress(BrokenPipeError):
                handover.end()


def meant(connection: sqlite3.Connection, text: str) -> list[tuple[StoredImage, tuple[str, ...]]]:
    """The images that *text* means, each with the names that it gets in an archive, as `docker save` takes it.

    A repository alone means all of its tags, an image coming once for each. A name with a tag means that one; an id and
    ``repository@digest`` give no name. Raises what `find` raises.
    """
    if tags := _tags_of(connection, text):
        return [(find(connection, tag), (tag,)) for tag in tags]
    image = find(connection, text)
    named = name_meant(text, image.names)
    return [(image, (named,) if named is not None else ())]


def _tags_of(connection: sqlite3.Connection, text: str) -> list[str]:
    """The names here of the repository that *text* writes without a tag; none when it writes something else."""
    try:
        reference = Reference.parse(text)
    except InvalidReference:
        return []
    if reference.tag is not None or reference.digest is not None:
        return []
    return image_rows.names_in(connection, reference.name)
