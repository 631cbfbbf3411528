"""Saving images: an archive as a stream.

A thread of its own writes the archive into a pipe, the caller reads from it, so that memory stays at the pipe and one
piece whatever the images' size, and a slow reader slows the writer and nobody else. A lease keeps the images while it
lasts. The same images give the same bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from typing import Literal, cast

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import DigestMismatch, InvalidArgument
from jackstay_agent.images.service import Images, find, name_meant
from jackstay_agent.kernel.readiness import readable
from jackstay_agent.kernel.threads import begin, to_end
from jackstay_agent.metadata import blobs as blob_rows
from jackstay_agent.metadata import leases
from jackstay_oci.archives.saving import ImageToSave
from jackstay_oci.archives.writing import write_archive
from jackstay_oci.compression import compressing
from jackstay_oci.digest import Digest

_PIECE = 1 << 20
_FORMATS = ("docker", "oci")
_COMPRESSIONS = ("none", "gzip", "zstd")


class Saver:
    """Saves images."""

    def __init__(self, content: ContentStore, images: Images) -> None:
        self._content = content
        self._images = images

    async def save(self, names: Sequence[str], form: str, compression: str) -> AsyncGenerator[bytes, None]:
        """The archive of the images *names* in pieces of at most 1 MiB.

        *form* is "docker" or "oci", *compression* "none", "gzip" or "zstd" of the whole archive. An image that is given
        by name keeps that name in the archive; one given by id has none, as with `docker save`. Raises what
        `Images.find` raises, `InvalidArgument`, and `DigestMismatch` for a damaged blob, which the next load repairs.
        """
        if not names:
            raise InvalidArgument("no image to save", hint="name at least one image")
        if form not in _FORMATS:
            raise InvalidArgument(f"unknown archive format {form!r}", hint="formats: docker, oci")
        if compression not in _COMPRESSIONS:
            raise InvalidArgument(f"unknown compression {compression!r}", hint="compressions: none, gzip, zstd")
        async with self._content.lease() as lease:
            images, held = await self._hold(names, lease)
            reading, writing = os.pipe2(os.O_CLOEXEC)
            with contextlib.suppress(OSError):  # a lower limit for pipes only makes smaller pieces
                fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIECE)
            os.set_blocking(reading, False)
            writer = begin(self._write, writing, images, form, compression)
            try:
                while piece := await _read(reading):
                    yield piece
                await asyncio.shield(writer)
            except DigestMismatch:
                for digest in held:  # a load that finds all of them here would look no further
                    await self._content.drop_if_damaged(digest)
                raise
            finally:
                os.close(reading)  # a writer that is not done finds its pipe broken and ends
                await to_end(asyncio.wait([writer]))
                writer.exception()  # taken, when the caller has gone

    async def _hold(self, names: Sequence[str], lease: str) -> tuple[list[ImageToSave], set[Digest]]:
        """What to save, and all of its blobs, which *lease* holds now."""
        held: set[Digest] = set()

        def work(connection: sqlite3.Connection) -> dict[Digest, list[str]]:
            roots: dict[Digest, list[str]] = {}
            for text in names:
                image = find(connection, text)
                for digest, _size in blob_rows.closure(connection, image.root):
                    leases.keep_blob(connection, lease, digest)
                    held.add(digest)
                kept = roots.setdefault(image.root, [])
                name = name_meant(text, image.names)
                if name is not None and name not in kept:
                    kept.append(name)
            return roots

        roots = await self._content.database.write("images.save", work)
        images = []
        for root, kept in roots.items():
            descriptor = await self._images.root(await self._images.by_root(str(root)))
            images.append(ImageToSave(names=tuple(kept), manifest=descriptor))
        return images, held

    def _write(self, descriptor: int, images: list[ImageToSave], form: str, compression: str) -> None:
        kind = cast(Literal["none", "gzip", "zstd"], compression)
        with contextlib.suppress(BrokenPipeError), os.fdopen(descriptor, "wb", buffering=_PIECE) as pipe:
            out = compressing(pipe, kind)
            write_archive(out, images, self._content.blobs, cast(Literal["docker", "oci"], form))
            out.close()


async def _read(descriptor: int) -> bytes:
    while True:
        try:
            return os.read(descriptor, _PIECE)
        except BlockingIOError:
            await readable(descriptor)
