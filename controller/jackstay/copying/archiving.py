"""Images of a source as one archive: made by the host that has them, or on this machine from another archive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from jackstay.copying.archive_source import ArchiveSource
from jackstay.copying.host_source import HostSource
from jackstay.copying.pouring import pour
from jackstay.copying.sources import RangeSource, SourceImage

Format = Literal["docker", "oci"]


async def write_images(
    source: RangeSource,
    images: Sequence[SourceImage],
    format: Format,
    platform: str,
    write: Callable[[bytes | memoryview], None],
) -> None:
    """Hand every piece of the archive to ``write``, which may block: it is called in a thread, once at a time.

    Of an image for several platforms all that the source has goes in, or only the one for ``platform``.

    Raises:
        Error: what the source or ``write`` raises.
    """
    if isinstance(source, HostSource):

        async def one(piece: memoryview) -> None:
            await asyncio.to_thread(write, piece)

        await pour(source.save(images, format, platform), one)
        return
    assert isinstance(source, ArchiveSource)
    await asyncio.to_thread(source.save, images, format, platform, write)
