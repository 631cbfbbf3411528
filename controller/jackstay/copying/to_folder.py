"""An OCI folder on this machine as the destination of a copy: only blobs that it lacks are read and written.

Of an image for several platforms all that the source has goes in, or the image for one platform as one of its own.
Memory is two pieces. The folder's own guarantees are those of ``jackstay_oci.archives.oci_folder``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TypeVar

from jackstay.copying.plan import HostPlan, plan_images
from jackstay.copying.pouring import pour
from jackstay.copying.sources import Blob, RangeSource, SourceImage
from jackstay_oci.archives.naming import annotations_of
from jackstay_oci.archives.oci_folder import OciFolder
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor

T = TypeVar("T")


async def plan_folder(source: RangeSource, images: Sequence[SourceImage], folder: OciFolder) -> list[HostPlan]:
    """What a copy will read and write for each image."""
    return plan_images(images, [blob.digest for blob in await _missing(images, folder)], source.name, source.via)


async def copy_to_folder(source: RangeSource, images: Sequence[SourceImage], folder: OciFolder) -> list[HostPlan]:
    """Make the images be in the folder; what was read and written for each.

    Raises:
        DigestMismatch: a blob is not what its digest says; the images of before are still there.
        DiskFull: no space is left.
        Error: the source's.
    """
    missing = await _missing(images, folder)
    for blob in missing:
        await _copy(source, blob, folder)
    await asyncio.to_thread(folder.add, [each for image in images for each in _descriptors(image)])
    return plan_images(images, [blob.digest for blob in missing], source.name, source.via)


async def _missing(images: Sequence[SourceImage], folder: OciFolder) -> list[Blob]:
    blobs = {blob.digest: blob for image in images for blob in (image.root, *image.blobs)}
    return await asyncio.to_thread(
        lambda: [blob for blob in blobs.values() if not folder.has(Digest.parse(blob.digest), blob.size)]
    )


async def _copy(source: RangeSource, blob: Blob, folder: OciFolder) -> None:
    opened = ExitStack()
    try:
        writer = await _returned(lambda: opened.enter_context(folder.blob(Digest.parse(blob.digest), blob.size)))

        async def write(piece: bytes) -> None:
            await _returned(partial(writer.write, piece))

        await pour(source.read(blob.digest, 0, blob.size), write)
        await _returned(writer.commit)
    finally:
        await asyncio.to_thread(opened.close)


async def _returned(work: Callable[[], T]) -> T:
    """Do it in a thread. Who is cancelled goes on when the thread has returned: it must not meet a closed file."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    finally:
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # taken, so that it is not reported as forgotten


def _descriptors(image: SourceImage) -> list[Descriptor]:
    root = image.root
    labels = [annotations_of(name, whole=True) for name in image.names] or [{}]
    return [
        Descriptor(media_type=root.media_type, digest=Digest.parse(root.digest), size=root.size, annotations=label)
        for label in labels
    ]
