"""Images of a source as one archive: made by the host that has them, or on this machine from what the source gives."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, Literal

from jackstay.copying.archive_source import ArchiveSource
from jackstay.copying.host_source import HostSource
from jackstay.copying.piping import PipeWriter, produced
from jackstay.copying.pouring import pour
from jackstay.copying.source_content import SourceContent, descriptor_of
from jackstay.copying.sources import RangeSource, SourceImage
from jackstay_oci import platforms
from jackstay_oci.archives.writing import ImageToSave, write_archive

Format = Literal["docker", "oci"]
Write = Callable[[bytes | memoryview], Coroutine[Any, Any, None]]


async def write_images(
    source: RangeSource, images: Sequence[SourceImage], format: Format, platform: str, write: Write
) -> None:
    """Hand every piece of the archive to ``write``, once at a time. Whoever is cancelled does not wait for ``write``.

    Of an image for several platforms all that the source has goes in, or only the one for ``platform``.

    Raises:
        Error: what the source or ``write`` raises.
    """
    if isinstance(source, HostSource):
        await pour(source.save(images, format, platform), write)
        return
    if isinstance(source, ArchiveSource):
        archive = source
        await _made_here(lambda out: archive.save(images, format, platform, out.write), write)
        return
    await _relayed(source, images, format, platform, write)


async def _relayed(
    source: RangeSource, images: Sequence[SourceImage], format: Format, platform: str, write: Write
) -> None:
    """The archive is made here, of blobs that the source gives one after the other."""
    content = SourceContent(source, images, asyncio.get_running_loop())
    wanted = platforms.parse(platform) if platform else None
    saved = [ImageToSave(image.names, descriptor_of(image.root)) for image in images]

    def make(out: PipeWriter) -> None:
        write_archive(out, saved, content, format, platform=wanted)

    await _made_here(make, write, content.stop)


async def _made_here(make: Callable[[PipeWriter], None], write: Write, stop: Callable[[], None] | None = None) -> None:
    """Hand to ``write`` what ``make`` writes in a thread, which has ended afterwards: it must not meet a closed source.

    The thread may wait for its pipe, which is closed when nobody writes on, or for what ``stop`` ends.
    """
    ended = threading.Event()

    def produce(out: PipeWriter) -> None:
        try:
            make(out)
        finally:
            ended.set()

    try:
        async with aclosing(produced(produce)) as pieces:
            await pour(pieces, write)
    finally:
        if stop is not None:
            stop()
        await asyncio.to_thread(ended.wait)
