"""Media types of manifests, indexes, configs and layers, as OCI and Docker name them.

Only says what a media type means; whether a document is what its type says is checked in ``documents``.
"""

from __future__ import annotations

from typing import Literal

Compression = Literal["none", "gzip", "zstd"]

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
OCI_FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar"
OCI_FOREIGN_LAYER_GZIP = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
OCI_FOREIGN_LAYER_ZSTD = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar"
DOCKER_FOREIGN_LAYER_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES = frozenset({OCI_INDEX, DOCKER_INDEX})
CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})

_LAYERS: dict[str, tuple[Compression, str]] = {
    OCI_LAYER: ("none", OCI_LAYER),
    OCI_LAYER_GZIP: ("gzip", OCI_LAYER),
    OCI_LAYER_ZSTD: ("zstd", OCI_LAYER),
    OCI_FOREIGN_LAYER: ("none", OCI_FOREIGN_LAYER),
    OCI_FOREIGN_LAYER_GZIP: ("gzip", OCI_FOREIGN_LAYER),
    OCI_FOREIGN_LAYER_ZSTD: ("zstd", OCI_FOREIGN_LAYER),
    DOCKER_LAYER: ("none", DOCKER_LAYER),
    DOCKER_LAYER_GZIP: ("gzip", DOCKER_LAYER),
    DOCKER_LAYER_ZSTD: ("zstd", DOCKER_LAYER),
    DOCKER_FOREIGN_LAYER: ("none", DOCKER_FOREIGN_LAYER),
    DOCKER_FOREIGN_LAYER_GZIP: ("gzip", DOCKER_FOREIGN_LAYER),
}


def is_manifest(media_type: str) -> bool:
    """Whether it is the manifest of one image."""
    return media_type in MANIFESTS


def is_index(media_type: str) -> bool:
    """Whether it is an index, which Docker calls a manifest list."""
    return media_type in INDEXES


def is_config(media_type: str) -> bool:
    """Whether it is the config of an image."""
    return media_type in CONFIGS


def is_layer(media_type: str) -> bool:
    """Whether it is a layer that can be unpacked."""
    return media_type in _LAYERS


def is_foreign(media_type: str) -> bool:
    """Whether it is a layer that may not be given on (nondistributable, in Docker's words foreign)."""
    return is_layer(media_type) and uncompressed(media_type) in (OCI_FOREIGN_LAYER, DOCKER_FOREIGN_LAYER)


def layer_compression(media_type: str) -> Compression:
    """How the layer is compressed.

    Raises:
        ValueError: not a layer's media type (ask :func:`is_layer` first).
    """
    if media_type not in _LAYERS:
        raise ValueError(f"{media_type!r} is not a layer's media type")
    return _LAYERS[media_type][0]


def compressed(media_type: str, compression: Compression) -> str:
    """The media type of the same layer compressed in that way.

    Raises:
        ValueError: not a layer's media type, or there is none for that.
    """
    wanted = (compression, uncompressed(media_type))
    for known, kind in _LAYERS.items():
        if kind == wanted:
            return known
    raise ValueError(f"no media type for {media_type!r} with {compression}")


def uncompressed(media_type: str) -> str:
    """The media type of the same layer without compression.

    Raises:
        ValueError: not a layer's media type.
    """
    if media_type not in _LAYERS:
        raise ValueError(f"{media_type!r} is not a layer's media type")
    return _LAYERS[media_type][1]
