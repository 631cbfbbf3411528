"""A registry as the destination of a copy: blobs that it lacks go there through this machine, stored nowhere.

What the registry has is not sent; what it has in another repository that the copy comes from is mounted. Documents go
as they are, so that digests hold.
"""

from __future__ import annotations

from collections.abc import Sequence

from jackstay.copying.attached import Reader, Sending
from jackstay.copying.plan import HostPlan, SourceShare
from jackstay.copying.platform_choice import read_document
from jackstay.copying.registry_source import RegistrySource
from jackstay.copying.sources import Blob, RangeSource, SourceImage
from jackstay.errors import InvalidDocument, NotFound
from jackstay_oci.at_once import each
from jackstay_oci.attached.putting import Place
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Index, parse_manifest
from jackstay_oci.media_types import is_index
from jackstay_oci.reference import Reference
from jackstay_oci.registry.pushing import BLOBS_AT_ONCE, ImageToPush, Report, Step, blobs_of, push
from jackstay_oci.registry.registry import Document, Registry


async def copy_to_registry(
    source: RangeSource, image: SourceImage, registry: Registry, destination: Reference, report: Report
) -> HostPlan:
    """Make the image be in the registry under the name; what was sent and what was spared.

    Raises:
        InvalidDocument: the source has only a part of the index.
        Error: the source's, and those of a registry.
    """
    going = await _image_to_push(source, image, registry)
    reader = Reader(source)
    pushed = await push(registry, destination.repository, _under(destination), going, reader, report)
    place = Place(registry, destination.repository, reader, report, going.sources)
    put = await _attached(source, image, going).put(place)
    return _plan(source, image, destination, pushed.sent + put.sent, pushed.spared + put.spared, put.warnings)


async def plan_registry(
    source: RangeSource, image: SourceImage, registry: Registry, destination: Reference
) -> HostPlan:
    """What :func:`copy_to_registry` will send; a mount that is possible is taken for one that the registry does."""
    pushing = await _image_to_push(source, image, registry)
    repository = destination.repository

    async def lacked(blob: Descriptor) -> int:
        if pushing.sources.get(blob.digest) or await registry.has_blob(repository, blob.digest):
            return 0
        return blob.size

    async def lacked_document(named: tuple[str, Document]) -> int:
        reference, document = named
        try:
            there = (await registry.resolve(repository, reference)).digest == document.descriptor.digest
        except NotFound:
            there = False
        return 0 if there else len(document.data)

    blobs = blobs_of(pushing)
    documents = [(_under(destination), pushing.root)]
    documents += [(str(one.descriptor.digest), one) for one in pushing.manifests]
    sent = sum(await each(blobs, lacked, limit=BLOBS_AT_ONCE))
    spared = sum(blob.size for blob in blobs) - sent
    sent += sum(await each(documents, lacked_document, limit=BLOBS_AT_ONCE))
    place = Place(registry, repository, Reader(source), _untold, pushing.sources)
    put = await _attached(source, image, pushing).plan(place)
    return _plan(source, image, destination, sent + put.sent, spared + put.spared, put.warnings)


def _attached(source: RangeSource, image: SourceImage, going: ImageToPush) -> Sending:
    return Sending(source, image, [one.descriptor.digest for one in (going.root, *going.manifests)])


def _untold(_step: Step) -> None:
    """Nobody hears of a plan's steps."""


def _under(destination: Reference) -> str:
    """What the image is put under: a tag, or a digest that must be its own."""
    reference = destination.with_default_tag()
    return str(reference.digest) if reference.digest is not None else str(reference.tag)


def _plan(
    source: RangeSource, image: SourceImage, destination: Reference, sent: int, spared: int, warnings: Sequence[str]
) -> HostPlan:
    shares = (SourceShare(source.name, source.via, sent),) if sent else ()
    return HostPlan(str(destination.with_default_tag()), image.root.digest, sent, spared, shares, tuple(warnings))


async def _image_to_push(source: RangeSource, image: SourceImage, registry: Registry) -> ImageToPush:
    """The image's documents, and where in the registry its blobs may be already."""
    root = await _document(source, image.root)
    manifests: list[Document] = []
    if is_index(image.root.media_type):
        index = parse_manifest(root.data, image.root.media_type)
        assert isinstance(index, Index)
        blobs = {blob.digest: blob for blob in image.blobs}
        missing = [one for one in index.manifests if one.digest not in blobs]
        if missing:
            raise InvalidDocument(
                f"{source.name} has only a part of {image.label}: {len(missing)} of {len(index.manifests)} manifests"
                " of its index are missing",
                hint="a registry takes an index only with all of them: copy one with --platform",
            )
        manifests = [await _document(source, blobs[str(one.digest)]) for one in index.manifests]
    return ImageToPush(root, tuple(manifests), _mounts(source, image, registry))


def _mounts(source: RangeSource, image: SourceImage, registry: Registry) -> dict[Digest, tuple[str, ...]]:
    if not isinstance(source, RegistrySource) or source.name != registry.name:
        return {}
    found = ((blob.digest, source.repository_of(blob.digest)) for blob in image.everything)
    return {Digest.parse(digest): (repository,) for digest, repository in found if repository is not None}


async def _document(source: RangeSource, blob: Blob) -> Document:
    data = await read_document(source, blob)
    return Document(Descriptor(media_type=blob.media_type, digest=Digest.parse(blob.digest), size=blob.size), data)
