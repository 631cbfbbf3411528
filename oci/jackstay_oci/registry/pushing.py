"""Pushing one image: its blobs, then the manifests of its index, then what is to have the name.

Guarantees: what the registry has is not sent; a manifest is put only when everything that it names is there, so a push
that breaks off leaves nothing with a name, and the next one goes on with what came; at most `BLOBS_AT_ONCE` blobs are
under way. Leaves to others: which documents they are, and the bytes of blobs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import Enum

from jackstay_oci import media_types
from jackstay_oci.at_once import each
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Index, Manifest, parse_manifest
from jackstay_oci.errors import InvalidArgument, InvalidDocument, NotFound, Unauthorized
from jackstay_oci.registry.registry import BlobReader, Document, Registry

BLOBS_AT_ONCE = 4
"""Blobs, or manifests of an index, that are looked for and sent at the same time."""


class Phase(Enum):
    """Where one blob is on its way. The names are those of the protocol's ``PushProgress.Phase``."""

    COMPRESSING = "COMPRESSING"
    PRESENT = "PRESENT"
    MOUNTED = "MOUNTED"
    SENDING = "SENDING"
    SENT = "SENT"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one blob; `current` and `total` in bytes."""

    digest: Digest
    phase: Phase
    current: int
    total: int


Report = Callable[[Step], None]
"""Told of every step; must not block. Steps of `SENDING` may be dropped by a slow listener."""


@dataclass(frozen=True, slots=True)
class ImageToPush:
    """What to push: the root and, of an index, every manifest that it names."""

    root: Document
    manifests: tuple[Document, ...] = ()
    sources: Mapping[Digest, Sequence[str]] = field(default_factory=dict)
    """For a blob, repositories of the same registry that may have it, the likeliest first (see `blob_mounts`)."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What came of it, in bytes: `sent` of blobs and manifests, `spared` of blobs that were there or were mounted.
    `warnings` are of what is attached to the image."""

    root: Descriptor
    sent: int
    spared: int
    warnings: tuple[str, ...] = ()


async def push(
    registry: Registry, repository: str, reference: str, image: ImageToPush, reader: BlobReader, report: Report
) -> Pushed:
    """Make *image* be in the *repository* under *reference*, a tag or the root's digest.

    Raises:
        InvalidArgument: the reference is another digest.
        InvalidDocument: a document is malformed, or an index comes without one of its manifests.
        Error: what `Registry` and *reader* raise.
    """
    root = image.root.descriptor
    if ":" in reference and reference != root.digest:
        raise InvalidArgument(
            f"{repository}@{reference} cannot be pushed: the image has digest {root.digest}",
            hint="push it under a tag, or under its own digest",
        )
    blobs = blobs_of(image)

    async def place(blob: Descriptor) -> int:
        return await place_blob(registry, repository, blob, image.sources.get(blob.digest, ()), reader, report)

    async def child(document: Document) -> int:
        return await _put(registry, repository, document.descriptor.digest, document)

    sent = sum(await each(blobs, place, limit=BLOBS_AT_ONCE))
    spared = sum(blob.size for blob in blobs) - sent
    sent += sum(await each(image.manifests, child, limit=BLOBS_AT_ONCE))
    sent += await _put(registry, repository, reference, image.root)
    return Pushed(root, sent, spared)


def blobs_of(image: ImageToPush) -> list[Descriptor]:
    """The configs and layers of the image, each once. Layers that may only be had elsewhere (foreign ones) are none.

    Raises `InvalidDocument`.
    """
    root = parse_manifest(image.root.data, image.root.descriptor.media_type)
    documents: list[Manifest | Index] = [root]
    if isinstance(root, Index):
        given = {document.descriptor.digest for document in image.manifests}
        if missing := [named.digest for named in root.manifests if named.digest not in given]:
            raise InvalidDocument(f"index {image.root.descriptor.digest} came without its manifest {missing[0]}")
        documents = [parse_manifest(one.data, one.descriptor.media_type) for one in image.manifests]
    blobs: dict[Digest, Descriptor] = {}
    for document in documents:
        if isinstance(document, Index):
            raise InvalidDocument(f"index {image.root.descriptor.digest} names another index")
        blobs[document.config.digest] = document.config
        blobs.update((layer.digest, layer) for layer in document.layers if not _is_elsewhere(layer))
    return list(blobs.values())


def _is_elsewhere(layer: Descriptor) -> bool:
    """Whether it may not be given on: who pulls gets it from one of its ``urls`` (image-spec, layer.md)."""
    return bool(layer.urls) and media_types.is_foreign(layer.media_type)


async def place_blob(
    registry: Registry, repository: str, blob: Descriptor, sources: Sequence[str], reader: BlobReader, report: Report
) -> int:
    """Make one blob be there: found, mounted from one of *sources*, or sent; bytes sent."""
    if await registry.has_blob(repository, blob.digest):
        report(Step(blob.digest, Phase.PRESENT, blob.size, blob.size))
        return 0
    for source in sources:
        if await _mount(registry, repository, blob.digest, source):
            report(Step(blob.digest, Phase.MOUNTED, blob.size, blob.size))
            return 0
    report(Step(blob.digest, Phase.SENDING, 0, blob.size))
    await registry.upload(repository, blob, _Told(reader, blob, report))
    report(Step(blob.digest, Phase.SENT, blob.size, blob.size))
    return blob.size


async def _mount(registry: Registry, repository: str, digest: Digest, source: str) -> bool:
    try:
        return await registry.mount(repository, digest, source)
    except (NotFound, Unauthorized):  # a guess that was wrong; whether we may push, the upload finds out
        return False


async def _put(registry: Registry, repository: str, reference: str, document: Document) -> int:
    """Make one document be there under *reference*; bytes sent."""
    try:
        if (await registry.resolve(repository, reference)).digest == document.descriptor.digest:
            return 0
    except NotFound:
        pass
    await registry.put_manifest(repository, reference, document)
    return len(document.data)


class _Told:
    """A reader that tells how far it was read."""

    def __init__(self, reader: BlobReader, blob: Descriptor, report: Report) -> None:
        self._reader = reader
        self._blob = blob
        self._report = report

    async def read(
        self, digest: Digest, offset: int, length: int
    ) -> AsyncGenerator[bytes | bytearray | memoryview, None]:
        """See `BlobReader.read`."""
        async with aclosing(self._reader.read(digest, offset, length)) as pieces:
            async for piece in pieces:
                yield piece
                offset += len(piece)
                self._report(Step(digest, Phase.SENDING, offset, self._blob.size))
