"""The source of an image that is made here of one tar, for hosts of one platform."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from jackstay.copying.sources import PIECE, Blob, SourceImage
from jackstay.errors import NotFound
from jackstay_oci import media_types
from jackstay_oci.digest import Digest

if TYPE_CHECKING:
    from jackstay.copying.imported_image import ImportedImage
    from jackstay.copying.tar_layer import TarLayer


class ImportSource:
    """One image. The layer's file belongs to whoever made this, and stays open for as long as it is read."""

    via = "archive"

    def __init__(self, name: str, layer: TarLayer, image: ImportedImage, names: Sequence[str]) -> None:
        self.name = name
        self._layer = layer
        self._documents = {str(Digest.of(raw)): raw for raw in (image.config, image.manifest)}
        root = Blob(str(Digest.of(image.manifest)), len(image.manifest), media_types.OCI_MANIFEST)
        config = Blob(str(image.id), len(image.config), media_types.OCI_CONFIG)
        self.image = SourceImage(
            root,
            tuple(names),
            (root, config, Blob(str(layer.digest), layer.size, layer.media_type)),
            event="import",
        )

    async def images(self, wanted: Sequence[str] = (), *, all: bool = False) -> list[SourceImage]:
        """The one image, under the names that it was made with."""
        return [self.image]

    async def read(self, digest: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """A range of a document or of the layer.

        Raises:
            NotFound: the image has no such blob.
        """
        if (raw := self._documents.get(digest)) is not None:
            yield raw[offset : offset + length]
            return
        if digest != self._layer.digest:
            raise NotFound(f"{digest} does not belong to what is imported from {self.name}")
        end = min(offset + length, self._layer.size)
        while offset < end:
            data = await asyncio.to_thread(os.pread, self._layer.fd, min(PIECE, end - offset), offset)
            if not data:
                return  # the file was cut meanwhile, which who asked sees
            yield data
            offset += len(data)

    async def close(self) -> None:
        """Nothing is its own."""
