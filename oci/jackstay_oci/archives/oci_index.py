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
_Resolved = tuple[Digest, Platform | None]


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
    resolver = _Resolver(blobs)
    for digest, descriptor in descriptors.items():
        if (resolved := resolver.resolve(descriptor)) is not None:
            bare = Descriptor(media_type=descriptor.media_type, digest=digest, size=descriptor.size)
            images.append(ArchiveImage(tuple(names[digest]), bare, *resolved))
    return images


def configs_of(blobs: Blobs, image: ArchiveImage) -> list[Digest]:
    """The configs of every image that a manifest or index leads to, straight, and that is there."""
    document = parse_manifest(blobs.document(image.manifest.digest), image.manifest.media_type)
    if isinstance(document, Manifest):
        return [document.config.digest]
    configs = []
    for child in {child.digest: child for child in document.manifests}.values():
        if media_types.is_manifest(child.media_type) and blobs.has(child.digest):
            manifest = parse_manifest(blobs.document(child.digest), child.media_type)
            if isinstance(manifest, Manifest):
                configs.append(manifest.config.digest)
    return configs


class _Resolver:
    """Finds the image that a descriptor leads to. Looks at each document once, however often it is named."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._known: dict[tuple[Digest, str], _Resolved | None] = {}

    def resolve(self, descriptor: Descriptor, depth: int = 0) -> _Resolved | None:
        """Image id and platform; ``None`` when what it names is no image."""
        key = (descriptor.digest, descriptor.media_type)
        if key not in self._known:
            self._known[key] = self._look(descriptor, depth)
        return self._known[key]

    def _look(self, descriptor: Descriptor, depth: int) -> _Resolved | None:
        if not (media_types.is_manifest(descriptor.media_type) or media_types.is_index(descriptor.media_type)):
            return None
        try:
            raw = self._blobs.document(descriptor.digest)
        except NotFound:
            raise InvalidArchive(f"it lacks manifest {descriptor.digest}", hint="save the image again") from None
        if len(raw) != descriptor.size:
            raise InvalidArchive(f"manifest {descriptor.digest} has {len(raw)} bytes, expected {descriptor.size}")
        document = parse_manifest(raw, descriptor.media_type)
        if isinstance(document, Manifest):
            return _image(self._blobs, document)
        if depth >= _MAX_DEPTH:
            raise InvalidArchive(f"indexes inside indexes, more than {_MAX_DEPTH} deep")
        return self._best(document, depth)

    def _best(self, index: Index, depth: int) -> _Resolved | None:
        """Of the images of an index that are there, the one for this machine, or else the first."""
        here = [child for child in index.manifests if self._blobs.has(child.digest)]
        chosen = platforms.choose(here, platforms.this_host())
        for child in ([chosen] if chosen else []) + here:
            if (resolved := self.resolve(child, depth + 1)) is not None:
                return resolved[0], resolved[1] or child.platform
        return None


def _image(blobs: Blobs, manifest: Manifest) -> _Resolved | None:
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
