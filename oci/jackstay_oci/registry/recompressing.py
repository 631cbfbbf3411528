"""Manifests and indexes whose layers were compressed for a push: the same documents with other descriptors. Pure.

Fields that nobody here knows stay; the same input gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Manifest, parse_manifest
from jackstay_oci.registry.registry import Document

_ABOUT = "vnd.docker.reference.digest"
"""Annotation in an index: the manifest that this one (a provenance, a list of parts) is about."""
_OCI = {
    media_types.DOCKER_MANIFEST: media_types.OCI_MANIFEST,
    media_types.DOCKER_INDEX: media_types.OCI_INDEX,
    media_types.DOCKER_CONFIG: media_types.OCI_CONFIG,
    media_types.DOCKER_LAYER: media_types.OCI_LAYER,
    media_types.DOCKER_FOREIGN_LAYER: media_types.OCI_FOREIGN_LAYER,
}


def uncompressed_layers(documents: Sequence[Document]) -> list[Descriptor]:
    """The layers of manifests that are stored uncompressed and can be had nowhere else, each once.

    Raises `InvalidDocument`.
    """
    found: dict[Digest, Descriptor] = {}
    for document in documents:
        manifest = parse_manifest(document.data, document.descriptor.media_type)
        assert isinstance(manifest, Manifest), "of an index, its manifests are asked"
        for layer in manifest.layers:
            elsewhere = layer.urls and media_types.is_foreign(layer.media_type)
            if _is_plain(layer.media_type) and not elsewhere:
                found.setdefault(layer.digest, layer)
    return list(found.values())


def with_layers(document: Document, compressed: Mapping[Digest, Descriptor]) -> Document:
    """The manifest with layers in place of others, by the digests of those; itself when it has none of them.

    One in Docker's format becomes one of OCI where it has a layer in zstd, which Docker's does not know.
    """
    manifest: dict[str, Any] = msgspec.json.decode(document.data)
    layers = [layer for layer in manifest.get("layers") or () if layer["digest"] in compressed]
    if not layers:
        return document
    for layer in layers:
        new = compressed[Digest(layer["digest"])]
        layer.update(_named(new.media_type, new.digest, new.size))
    media_type = document.descriptor.media_type
    if any(media_types.layer_compression(layer["mediaType"]) == "zstd" for layer in layers):
        media_type = _OCI.get(media_type, media_type)
        for described in (manifest["config"], *manifest["layers"]):
            described["mediaType"] = _as_oci(described["mediaType"])
        manifest["mediaType"] = media_type
    return _document(media_type, manifest)


def with_manifests(index: Document, replaced: Mapping[Digest, Document]) -> Document:
    """The index with manifests in place of others, by the digests of those; itself when none is another."""
    if all(document.descriptor.digest == digest for digest, document in replaced.items()):
        return index
    document: dict[str, Any] = msgspec.json.decode(index.data)
    media_type = index.descriptor.media_type
    for entry in document["manifests"]:
        if (new := replaced.get(Digest(entry["digest"]))) is not None:
            entry.update(_named(new.descriptor.media_type, new.descriptor.digest, new.descriptor.size))
            if new.descriptor.media_type == media_types.OCI_MANIFEST:
                media_type = _OCI.get(media_type, media_type)
        about = (entry.get("annotations") or {}).get(_ABOUT)
        if isinstance(about, str) and about in replaced:
            entry["annotations"][_ABOUT] = str(replaced[Digest(about)].descriptor.digest)
    if "mediaType" in document:
        document["mediaType"] = media_type
    return _document(media_type, document)


def _is_plain(media_type: str) -> bool:
    return media_types.is_layer(media_type) and media_types.layer_compression(media_type) == "none"


def _named(media_type: str, digest: Digest, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(digest), "size": size}


def _as_oci(media_type: str) -> str:
    if not media_types.is_layer(media_type):
        return _OCI.get(media_type, media_type)
    plain = media_types.uncompressed(media_type)
    return media_types.compressed(_OCI.get(plain, plain), media_types.layer_compression(media_type))


def _document(media_type: str, value: dict[str, Any]) -> Document:
    data = msgspec.json.encode(value, order="deterministic")
    return Document(Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data)), data)
