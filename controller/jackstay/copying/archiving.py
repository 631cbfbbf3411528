"""Images of a source as one archive: made by the host that has them, or on this machine from what the source gives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from jackstay.copying.archive_source import ArchiveSource
from jackstay.copying.host_source import HostSource
from jackstay.copying.pouring import pour
from jackstay.copying.source_content import SourceContent, descriptor_of
from jackstay.copying.sources import RangeSource, SourceImage
from jackstay_oci import platforms
from jackstay_oci.archives.writing import ImageToSave, write_archive

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
    if isinstance(source, ArchiveSource):
        await asyncio.to_thread(source.save, images, format, platform, write)
        return
    await _relayed(source, images, format, platform, write)


async def _relayed(
    source: RangeSource,
    images: Sequence[SourceImage],
    format: Format,
    platform: str,
    write: Callable[[bytes | memoryview], None],
) -> None:
    """The archive is made here, of blobs that the source gives one after the other."""
    content = SourceContent(source, images, asyncio.get_running_loop())
    wanted = platforms.parse(platform) if platform else None
    saved = [ImageToSave(image.names, descriptor_of(image.root)) for image in images]
    running = asyncio.ensure_future(
        asyncio.to_thread(write_archive, _Writer(write), saved, content, format, platform=wanted)
    )
    try:
        await asyncio.shield(running)
    finally:
        content.stop()
        await asyncio.wait([running])  # the thread must not meet a closed source
        if not running.cancelled():
            running.exception()  # taken, so that it is not reported as forgotten


@dataclass(frozen=True, slots=True)
class _Writer:
    """What ``write_archive`` writes to."""

    write: Callable[[bytes], None]
