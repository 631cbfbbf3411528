"""An archive on this machine as a source: docker-archive, OCI archive, OCI folder, or standard input.

A plain file is indexed and read in place. What is compressed, or cannot be read at any place, is first written out to
an unlinked file in ``~/.cache/jackstay/spool`` (0700). All file work is done in threads; memory is two pieces a reader.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jackstay.copying.sources import PIECE, Blob, SourceImage
from jackstay.copying.unwaited import begin
from jackstay.errors import Error, LimitExceeded, NotFound, UsageError
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Index, Manifest, parse_manifest
from jackstay_oci.media_types import is_index, is_manifest

if TYPE_CHECKING:
    from jackstay_oci.archives.archive import Archive
    from jackstay_oci.archives.images import ArchiveImage
    from jackstay_oci.documents import Descriptor

MAX_DOCUMENT = 4 * 1024 * 1024
"""Bytes of a manifest that are read at most."""


def spool_folder(environ: Mapping[str, str]) -> Path:
    """Where streams are written out; made when missing, for this user only.

    Raises:
        Error: it belongs to somebody else.
    """
    cache = environ.get("XDG_CACHE_HOME") or os.path.join(environ.get("HOME") or str(Path.home()), ".cache")
    folder = Path(cache) / "jackstay" / "spool"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.geteuid():
        raise Error(f"{folder} belongs to another user", hint="remove it, or set XDG_CACHE_HOME")
    if stat.S_IMODE(status.st_mode) != 0o700:
        folder.chmod(0o700)
    return folder


class ArchiveSource:
    """An open archive."""

    via = "archive"

    def __init__(self, archive: Archive, name: str) -> None:
        self._archive = archive
        self._readable: set[str] = set()
        self.name = name

    @classmethod
    async def open(cls, source: str | int, name: str, environ: Mapping[str, str]) -> ArchiveSource:
        """Open a path or a descriptor; a stream is read to its end first. Who is cancelled waits for nothing.

        Raises:
            NotFound, InvalidArchive, InvalidDocument, DigestMismatch, LimitExceeded, DiskFull: see ``open_archive``.
            UsageError: the user's bounds on archives are malformed.
        """
        from jackstay.inventory.archive_limits import HINT, archive_limits
        from jackstay_oci.archives.archive import open_archive

        def work() -> Archive:
            limits = archive_limits(environ)
            try:
                return open_archive(source, spool_dir=spool_folder(environ), limits=limits, name=name)
            except LimitExceeded as error:
                error.hint = HINT
                raise
            except NotFound as error:
                if isinstance(source, str) and os.path.exists(source.partition(":")[0]):  # as others write it
                    file, _, image = source.partition(":")
                    error.hint = f"an image of {file} is chosen with --image {image or 'NAME'}"
                raise

        return cls(await begin(work, lambda archive: archive.close()), name)

    async def images(self, wanted: Sequence[str] = (), *, all: bool = False) -> list[SourceImage]:
        """The images named, by name, id or digest; none named: the only one, or with ``all`` every one.

        Raises:
            NotFound: the archive has no such image.
            UsageError: none is named and there are several.
        """
        images = self._archive.images
        if wanted:
            chosen = [self._find(name) for name in wanted]
        elif all or len(images) == 1:
            chosen = [(image, image.names) for image in images]
        else:
            named = ", ".join(name for image in images for name in image.names[:1])
            raise UsageError(
                f"{self.name} has {len(images)} images: {named}" if images else f"{self.name} has no image",
                hint="choose with --image NAME, or take --all" if images else "",
            )
        return [await self._image(image.manifest, names) for image, names in chosen]

    def _find(self, text: str) -> tuple[ArchiveImage, tuple[str, ...]]:
        from jackstay_oci.archives.finding import find

        try:
            return find(self._archive.images, text)
        except NotFound as error:
            raise NotFound(f"{self.name} has {error.message}", hint=error.hint) from error

    async def _image(self, root: Descriptor, names: tuple[str, ...]) -> SourceImage:
        blobs = await self._closure(root)
        held = {blob.digest for blob in blobs}
        below = _children(await self._document(root)) if is_index(root.media_type) else []
        return SourceImage(_blob(root), names, blobs, tuple(str(one.digest) for one in below if one.digest in held))

    async def _closure(self, root: Descriptor) -> tuple[Blob, ...]:
        """Every blob below a manifest or index that the archive holds: of other platforms it may hold none."""
        blobs: dict[str, Blob] = {}
        waiting = [root]
        while waiting:
            descriptor = waiting.pop()
            if descriptor.digest in blobs or not await asyncio.to_thread(self._archive.has, descriptor.digest):
                continue
            blobs[descriptor.digest] = _blob(descriptor)
            if is_manifest(descriptor.media_type) or is_index(descriptor.media_type):
                waiting.extend(_children(await self._document(descriptor)))
        self._readable.update(blobs)
        return tuple(blobs.values())

    async def _document(self, descriptor: Descriptor) -> Manifest | Index:
        raw = await asyncio.to_thread(self._archive.read, descriptor.digest, 0, MAX_DOCUMENT)
        return parse_manifest(raw, descriptor.media_type)

    async def read(self, digest: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """A range of a blob of an image that :meth:`images` gave out; the archive may hold others' as well.

        Raises:
            NotFound: it belongs to none of them.
            InvalidArchive: the file was cut meanwhile.
        """
        if digest not in self._readable:
            raise NotFound(f"{digest} belongs to no image that is being copied from {self.name}")
        parsed = Digest.parse(digest)
        end = offset + length

        def begin(start: int) -> asyncio.Future[bytes]:
            return asyncio.ensure_future(asyncio.to_thread(self._archive.read, parsed, start, min(PIECE, end - start)))

        ahead = begin(offset)
        try:
            while offset < end and (data := await asyncio.shield(ahead)):
                offset += len(data)
                if offset < end:
                    ahead = begin(offset)  # while this piece is on its way
                yield data
        finally:  # a read that goes on must not meet a closed archive
            await asyncio.wait([ahead])
            if not ahead.cancelled():
                ahead.exception()  # taken, so that it is not reported as forgotten

    def save(
        self,
        images: Sequence[SourceImage],
        format: Literal["docker", "oci"],
        platform: str,
        write: Callable[[bytes], None],
    ) -> None:
        """Write another archive of images that :meth:`images` gave out; blocks."""
        from jackstay_oci import platforms
        from jackstay_oci.archives.writing import ImageToSave, write_archive

        roots = {image.manifest.digest: image.manifest for image in self._archive.images}
        saved = [ImageToSave(image.names, roots[Digest.parse(image.root.digest)]) for image in images]
        wanted = platforms.parse(platform) if platform else None
        write_archive(_Writer(write), saved, self._archive, format, platform=wanted)

    async def close(self) -> None:
        """Close the archive."""
        await asyncio.to_thread(self._archive.close)


@dataclass(frozen=True, slots=True)
class _Writer:
    """What ``write_archive`` writes to."""

    write: Callable[[bytes], None]


def _blob(descriptor: Descriptor) -> Blob:
    return Blob(str(descriptor.digest), descriptor.size, descriptor.media_type)


def _children(document: Manifest | Index) -> list[Descriptor]:
    if isinstance(document, Index):
        return list(document.manifests)
    return [document.config, *document.layers]
