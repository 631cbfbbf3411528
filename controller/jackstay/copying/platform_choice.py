"""Which blobs of an image for several platforms a destination takes: found in the source's documents, as an agent does.

Guarantees that documents are bounded and verified before they are believed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jackstay.copying.sources import Blob, RangeSource, SourceImage
from jackstay.errors import InvalidDocument, NotFound
from jackstay_oci import platforms
from jackstay_oci.digest import Digest, verify
from jackstay_oci.documents import MAX_DOCUMENT, Index, Manifest, Platform, parse_config, parse_manifest
from jackstay_oci.reference import Reference

if TYPE_CHECKING:
    from jackstay_oci.documents import Descriptor


async def taken(source: RangeSource, image: SourceImage, own: Platform) -> SourceImage:
    """The image with only those blobs that a destination whose platform is ``own`` takes of it.

    Raises:
        NotFound: it is not for the platform that is wanted.
        InvalidDocument, DigestMismatch: what the source gives for a document is none.
    """
    if image.all_platforms or not (image.manifests or image.platform):
        return image
    wanted = platforms.parse(image.platform) if image.platform else own
    chosen, manifest = await _chosen(source, image, wanted)
    below = (_blob(manifest.config), *(_blob(layer) for layer in manifest.layers))
    held = {blob.digest for blob in image.blobs}
    taking = (image.root, chosen, *(blob for blob in below if blob.digest in held))
    return replace(image, blobs=taking).without_strangers()


async def alone(source: RangeSource, image: SourceImage) -> SourceImage:
    """The image for ``image.platform`` as one of its own, its index left behind; as it is when no platform is named.

    Raises: as :func:`taken`.
    """
    if not image.platform:
        return image
    fitting = await taken(source, replace(image, all_platforms=False), platforms.this_host())
    chosen = fitting.blobs[1] if image.manifests else image.root
    left = replace(fitting, root=chosen, blobs=fitting.blobs[1:], manifests=(), platform="")
    return left.without_strangers()


async def _chosen(source: RangeSource, image: SourceImage, wanted: Platform) -> tuple[Blob, Manifest]:
    """The manifest for the platform, and what it says."""
    document = await _document(source, image.root)
    if isinstance(document, Manifest):
        config = parse_config(await read_document(source, _blob(document.config)))
        if config.os and config.architecture:
            own = Platform(os=config.os, architecture=config.architecture, variant=config.variant)
            if not platforms.fits(own, wanted):
                raise NotFound(f"image {_called(image)} is not for {wanted}", hint=f"it is for {own}")
        return image.root, document
    held = [one for one in document.manifests if one.digest in image.manifests]
    found = platforms.choose(held, wanted)
    if found is None:
        raise NotFound(
            f"image {_called(image)} has no manifest for {wanted}",
            hint=f"it is for {platforms.listed(held) or 'no platform'}",
        )
    inner = await _document(source, _blob(found))
    if isinstance(inner, Index):
        raise InvalidDocument(f"index {image.root.digest} names another index")
    return _blob(found), inner


def _called(image: SourceImage) -> str:
    return Reference.parse(image.names[0]).familiar if image.names else image.root.digest


async def _document(source: RangeSource, blob: Blob) -> Manifest | Index:
    return parse_manifest(await read_document(source, blob), blob.media_type)


async def read_document(source: RangeSource, blob: Blob) -> bytes:
    """A manifest, index or config, whole.

    Raises:
        InvalidDocument: it is too large.
        DigestMismatch: it is not what its digest says.
    """
    if blob.size > MAX_DOCUMENT:
        raise InvalidDocument(f"{source.name}: document {blob.digest} has {blob.size} bytes, the bound {MAX_DOCUMENT}")
    raw = b"".join([data async for data in source.read(blob.digest, 0, blob.size)])
    verify(raw, Digest.parse(blob.digest), what=f"{source.name}: document {blob.digest}")
    return raw


def _blob(descriptor: Descriptor) -> Blob:
    return Blob(str(descriptor.digest), descriptor.size, descriptor.media_type)
