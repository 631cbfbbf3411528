"""Images from the ``index.json`` of an OCI layout (image-spec, image-layout.md), as Docker ≥ 25 writes one, too."""

from __future__ import annotations

from jackstay_oci import media_types, platforms
from jackstay_oci.archives.files import read_document
from jackstay_oci.archives.images import ArchiveImage, Blobs
from jackstay_oci.archives.naming import annotated_name
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Index, Manifest, Platform, parse_config, parse_index, parse_manifest
from jackstay_oci.errors import InvalidArchive, NotFound

_MAX_DEPTH = 3


def index_images(blobs: Blobs) -> list[ArchiveImage]:
    """The images that ``index.json`` names, those with the same digest as one image with all their names.

    What is no image (signatures, attestations, other artifacts) is passed over.

    Raises:
        InvalidArchive: a document or a layer is missing, or two documents contradict each other.
    """
    names: dict[Digest, list[str]] = {}
    descriptors: dict[Digest, Descriptor] = {}
    for descriptor in parse_index(read_document(blobs.files, "index.json")).manifests:
        descriptors.setdefault(descriptor.digest, descriptor)
        found = names.setdefault(descriptor.digest, [])
        if (name := annotated_name(descriptor.annotations)) and name not in found:
            found.append(name)
    images = []
    for digest, descriptor in descriptors.items():
        if (resolved := _resolve(blobs, descriptor, 0)) is not None:
            bare = Descriptor(media_type=descriptor.media_type, digest=digest, size=descriptor.size)
            images.append(ArchiveImage(tuple(names[digest]), bare, *resolved))
    return images


def configs_of(blobs: Blobs, manifest: Descriptor) -> list[Digest]:
    """The configs of every image that the manifest or index leads to and that is there."""
    try:
        document = parse_manifest(blobs.document(manifest.digest), manifest.media_type)
    except NotFound:
        return []
    if isinstance(document, Manifest):
        return [document.config.digest]
    return [
        config
        for child in document.manifests
        if media_types.is_manifest(child.media_type)
        for config in configs_of(blobs, child)
    ]


def _resolve(blobs: Blobs, descriptor: Descriptor, depth: int) -> tuple[Digest, Platform | None] | None:
    """Image id and platform of what a descriptor names; ``None`` when that is no image."""
    if not (media_types.is_manifest(descriptor.media_type) or media_types.is_index(descriptor.media_type)):
        return None
    try:
        raw = blobs.document(descriptor.digest)
    except NotFound:
        raise InvalidArchive(f"it lacks manifest {descriptor.digest}", hint="save the image again") from None
    if len(raw) != descriptor.size:
        raise InvalidArchive(f"manifest {descriptor.digest} has {len(raw)} bytes, expected {descriptor.size}")
    document = parse_manifest(raw, descriptor.media_type)
    if isinstance(document, Manifest):
        return _image(blobs, document)
    if depth >= _MAX_DEPTH:
        raise InvalidArchive(f"indexes inside indexes, more than {_MAX_DEPTH} deep")
    return _best(blobs, document, depth)


def _best(blobs: Blobs, index: Index, depth: int) -> tuple[Digest, Platform | None] | None:
    """Of the images of an index that are there, the one for this machine, or else the first."""
    here = [child for child in index.manifests if blobs.has(child.digest)]
    chosen = platforms.choose(here, platforms.this_host())
    for child in ([chosen] if chosen else []) + here:
        if (resolved := _resolve(blobs, child, depth + 1)) is not None:
            return resolved[0], resolved[1] or child.platform
    return None


def _image(blobs: Blobs, manifest: Manifest) -> tuple[Digest, Platform | None] | None:
    if not media_types.is_config(manifest.config.media_type) or any(
        not media_types.is_layer(layer.media_type) for layer in manifest.layers
    ):
        return None
    blobs.require([manifest.config, *manifest.layers])
    config = parse_config(blobs.document(manifest.config.digest))
    layers, diffs = len(manifest.layers), len(config.rootfs.diff_ids)
    if layers != diffs:
        raise InvalidArchive(f"image {manifest.config.digest} has {layers} layers and {diffs} diffIDs")
    platform = None
    if config.os and config.architecture:
        platform = Platform(os=config.os, architecture=config.architecture, variant=config.variant)
    return manifest.config.digest, platform
