"""What goes into an archive: pure, from the images to save and the documents that describe them.

The same images give the same plan, in whatever order and however often they are named. The ``docker`` form is what
Docker ≥ 25 writes: an OCI layout with ``manifest.json`` beside it, which every Docker since 1.10, Podman and skopeo
read. Docker 20.10 unpacks gzip layers but not zstd ones. The ``oci`` form has the layout alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec
from msgspec import structs

from jackstay_oci import media_types, platforms
from jackstay_oci.archives.naming import annotations_of
from jackstay_oci.archives.oci_layout import LAYOUT
from jackstay_oci.digest import Digest, verify
from jackstay_oci.documents import (
    MAX_DOCUMENT,
    Descriptor,
    Index,
    Manifest,
    Platform,
    encode,
    parse_config,
    parse_manifest,
)
from jackstay_oci.errors import DigestMismatch, InvalidDocument, NotFound
from jackstay_oci.reading import Content, read_exactly
from jackstay_oci.reference import Reference

Format = Literal["docker", "oci"]

_MAX_DEPTH = 3


@dataclass(frozen=True, slots=True)
class ImageToSave:
    """An image and the names that it gets in the archive (in full, with tags). ``manifest`` may be an index."""

    names: tuple[str, ...]
    manifest: Descriptor


@dataclass(slots=True)
class SavePlan:
    """An archive's content: small files by name, and the blobs that it needs with their sizes."""

    files: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[Digest, int] = field(default_factory=dict)


def plan(images: Sequence[ImageToSave], content: Content, format: Format, platform: Platform | None = None) -> SavePlan:
    """Decide what an archive of ``images`` holds.

    Args:
        images: what to save.
        content: where documents are read from; layers are only asked for their size.
        format: the form.
        platform: of an index, only the image for it. When not given, all of the index that is here; ``manifest.json``,
            which knows no index, then names the image for this machine.

    Raises:
        NotFound: a blob is missing, or an image is not for ``platform``. Of an index, images that are not here are left
            out.
        DigestMismatch: a blob is not what its descriptor says.
    """
    result = SavePlan()
    descriptors: list[Descriptor] = []
    saved: dict[Digest, _Saved] = {}
    repositories: dict[str, dict[str, str]] = {}
    collector = _Collector(result, content, platform or platforms.this_host())
    if platform is not None:
        images = [replace(image, manifest=collector.only(image, platform)) for image in images]
    for image in _in_order(images):
        root = image.manifest
        manifest = collector.collect(root)
        labels = [annotations_of(name, whole=format == "oci") for name in image.names] or [{}]
        descriptors += [
            Descriptor(media_type=root.media_type, digest=root.digest, size=root.size, annotations=label)
            for label in labels
        ]
        if format == "docker" and manifest is not None:
            entry = saved.setdefault(root.digest, _Saved(manifest, _layer_sources(content, manifest)))
            for name in image.names:
                reference = Reference.parse(name)
                if reference.tag is None or reference.digest is not None:
                    continue  # a name by digest is no tag
                entry.tags[reference.familiar] = None
                top = manifest.layers[-1].digest if manifest.layers else manifest.config.digest
                repositories.setdefault(reference.familiar_name, {})[reference.tag] = top.hex
    index = Index(media_type=media_types.OCI_INDEX, manifests=tuple(_distinct(descriptors)))
    result.files["index.json"] = encode(index)
    result.files["oci-layout"] = LAYOUT
    if format == "docker":
        result.files["manifest.json"] = msgspec.json.encode([entry.document() for entry in saved.values()])
        if repositories:
            result.files["repositories"] = msgspec.json.encode(repositories, order="sorted")
    return result


def _in_order(images: Sequence[ImageToSave]) -> list[ImageToSave]:
    """Each image once with all its names, sorted; those without a name last."""
    names: dict[Digest, set[str]] = {}
    roots: dict[Digest, Descriptor] = {}
    for image in images:
        names.setdefault(image.manifest.digest, set()).update(image.names)
        roots.setdefault(image.manifest.digest, image.manifest)
    merged = [ImageToSave(tuple(sorted(names[digest])), root) for digest, root in roots.items()]
    return sorted(merged, key=lambda image: (not image.names, image.names, image.manifest.digest))


def read_document(content: Content, digest: Digest) -> bytes:
    """A manifest, index or config in memory, verified.

    Raises:
        NotFound: it is not there.
        InvalidDocument: it is too large.
        DigestMismatch: it is not what its digest says.
    """
    if (size := content.size(digest)) > MAX_DOCUMENT:
        raise InvalidDocument(f"blob {digest} has {size} bytes, a document has at most {MAX_DOCUMENT}")
    reader = content.open_blob(digest)
    try:
        raw = read_exactly(reader, size)
    finally:
        reader.close()
    verify(raw, digest, what=f"blob {digest}")
    return raw


@dataclass(slots=True)
class _Saved:
    manifest: Manifest
    sources: dict[str, Any]
    tags: dict[str, None] = field(default_factory=dict)

    def document(self) -> Mapping[str, Any]:
        """The entry of ``manifest.json``, keys in Docker's order."""
        entry: dict[str, Any] = {
            "Config": _path(self.manifest.config.digest),
            "RepoTags": list(self.tags) or None,
            "Layers": [_path(layer.digest) for layer in self.manifest.layers],
        }
        return {**entry, "LayerSources": self.sources} if self.sources else entry


def _layer_sources(content: Content, manifest: Manifest) -> dict[str, Any]:
    """The descriptor of each diffID, as Docker writes it: it knows layers that are not compressed only."""
    config = parse_config(read_document(content, manifest.config.digest))
    if len(config.rootfs.diff_ids) != len(manifest.layers):
        return {}
    return {
        str(diff_id): {"mediaType": layer.media_type, "size": layer.size, "digest": str(layer.digest)}
        for diff_id, layer in zip(config.rootfs.diff_ids, manifest.layers, strict=True)
        if diff_id == layer.digest
    }


class _Collector:
    """Takes images into a plan. Looks at each document once, however often indexes name it."""

    def __init__(self, plan: SavePlan, content: Content, platform: Platform) -> None:
        self._plan = plan
        self._content = content
        self._platform = platform
        self._documents: dict[tuple[Digest, str], Manifest | Index] = {}
        self._whole: dict[Digest, bool] = {}
        self._standing: dict[Digest, Manifest | None] = {}

    def only(self, image: ImageToSave, platform: Platform) -> Descriptor:
        """The manifest of the image for ``platform``: one of its index, or the image's own when it is no index.

        Raises:
            NotFound: it is not for ``platform``, or that part of it is not here.
        """
        document = self._document(image.manifest, 0)
        if isinstance(document, Index):
            here = [child for child in document.manifests if _is_document(child) and self._is_whole(child, 1)]
        else:
            config = parse_config(read_document(self._content, document.config.digest))
            own = Platform(os=config.os or "linux", architecture=config.architecture, variant=config.variant)
            here = [structs.replace(image.manifest, platform=own)]
        chosen = platforms.choose(here, platform)
        if chosen is None:
            named = Reference.parse(image.names[0]).familiar if image.names else image.manifest.digest
            raise NotFound(
                f"image {named} is not here for {platform}", hint=f"it is for {platforms.listed(here) or 'none'}"
            )
        return Descriptor(media_type=chosen.media_type, digest=chosen.digest, size=chosen.size)

    def collect(self, descriptor: Descriptor, depth: int = 0) -> Manifest | None:
        """Take a manifest or index and all below it; the manifest that stands for it in ``manifest.json``."""
        if descriptor.digest not in self._standing:
            self._standing[descriptor.digest] = self._collect(descriptor, depth)
        return self._standing[descriptor.digest]

    def _collect(self, descriptor: Descriptor, depth: int) -> Manifest | None:
        document = self._document(descriptor, depth)
        self._take(descriptor)
        if isinstance(document, Manifest):
            for blob in (document.config, *document.layers):
                if not (blob.urls and not self._content.has(blob.digest)):
                    self._take(blob)
            return document if media_types.is_config(document.config.media_type) else None
        here = [child for child in document.manifests if self._is_whole(child, depth + 1)]
        if not here:
            raise NotFound(
                f"no image of index {descriptor.digest} is here", hint="pull or copy the image for a platform"
            )
        chosen = platforms.choose(here, self._platform)
        found = [(child, self.collect(child, depth + 1)) for child in here if _is_document(child)]
        for child in here:
            self._take(child)
        standing = [manifest for child, manifest in found if manifest is not None and child == chosen]
        return next(iter(standing + [manifest for _, manifest in found if manifest is not None]), None)

    def _is_whole(self, descriptor: Descriptor, depth: int) -> bool:
        """Whether a child of an index is here with all that it needs."""
        if descriptor.digest not in self._whole:
            self._whole[descriptor.digest] = self._look_whole(descriptor, depth)
        return self._whole[descriptor.digest]

    def _look_whole(self, descriptor: Descriptor, depth: int) -> bool:
        if not self._content.has(descriptor.digest):
            return False
        if not _is_document(descriptor):
            return True
        document = self._document(descriptor, depth)
        if isinstance(document, Index):
            return any(self._is_whole(child, depth + 1) for child in document.manifests)
        return all(self._content.has(blob.digest) or blob.urls for blob in (document.config, *document.layers))

    def _document(self, descriptor: Descriptor, depth: int) -> Manifest | Index:
        if depth > _MAX_DEPTH:
            raise InvalidDocument(f"indexes inside indexes, more than {_MAX_DEPTH} deep")
        key = (descriptor.digest, descriptor.media_type)
        if key not in self._documents:
            raw = read_document(self._content, descriptor.digest)
            self._documents[key] = parse_manifest(raw, descriptor.media_type)
        return self._documents[key]

    def _take(self, descriptor: Descriptor) -> None:
        size = self._content.size(descriptor.digest)
        if size != descriptor.size:
            raise DigestMismatch(f"blob {descriptor.digest} has {size} bytes, its descriptor says {descriptor.size}")
        self._plan.blobs[descriptor.digest] = size


def _is_document(descriptor: Descriptor) -> bool:
    return media_types.is_manifest(descriptor.media_type) or media_types.is_index(descriptor.media_type)


def _path(digest: Digest) -> str:
    return f"blobs/sha256/{digest.hex}"


def _distinct(descriptors: Sequence[Descriptor]) -> list[Descriptor]:
    seen: list[Descriptor] = []
    for descriptor in descriptors:
        if descriptor not in seen:
            seen.append(descriptor)
    return seen
