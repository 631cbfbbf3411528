"""Images from ``manifest.json``, which ``docker save`` writes since 1.10 and Podman's docker-archive, too.

A classic archive has no OCI manifests. One is made for each image, always the same for the same image: an OCI manifest
of the config as it is and the layers as they lie in the archive (uncompressed ones by their diffID, without reading
them; compressed ones by their own digest). That the bytes are those of the diffID is for whoever stores them to verify.
"""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any

import msgspec

from jackstay_oci import media_types
from jackstay_oci.archives.files import read_document
from jackstay_oci.archives.images import ArchiveImage, Blobs
from jackstay_oci.archives.naming import canonical
from jackstay_oci.compression import HEAD, detect
from jackstay_oci.digest import Digest, hasher
from jackstay_oci.documents import Descriptor, Manifest, Platform, encode, parse_config
from jackstay_oci.errors import DigestMismatch, InvalidArchive, NotFound
from jackstay_oci.reading import Region

_CONFIG_NAME = re.compile(r"(?:blobs/sha256/)?([0-9a-f]{64})(?:\.json)?", re.ASCII)
_HASH_CHUNK = 1 << 20
_LAYER_TYPES = {
    "none": media_types.OCI_LAYER,
    "gzip": media_types.OCI_LAYER_GZIP,
    "zstd": media_types.OCI_LAYER_ZSTD,
}


class SavedImage(msgspec.Struct, frozen=True, rename="pascal"):
    """One image of ``manifest.json``."""

    config: str
    repo_tags: list[str] | None = None
    layers: list[str] | None = None
    layer_sources: dict[str, Any] | None = None

    def names(self) -> tuple[str, ...]:
        """Its names in full, each once."""
        return tuple(dict.fromkeys(full for name in self.repo_tags or [] if (full := canonical(name))))


def saved_images(blobs: Blobs) -> list[SavedImage]:
    """What ``manifest.json`` lists.

    Raises:
        NotFound: there is no such file.
        InvalidArchive: it is malformed.
    """
    raw = read_document(blobs.files, "manifest.json")
    try:
        return msgspec.json.decode(raw, type=list[SavedImage])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidArchive(f"manifest.json is malformed: {error}") from error


def config_digest(blobs: Blobs, saved: SavedImage) -> Digest:
    """The image id, of the config's bytes.

    Raises:
        InvalidArchive: the config is missing.
        DigestMismatch: it is not what its file's name says.
    """
    try:
        raw = read_document(blobs.files, saved.config)
    except NotFound:
        raise InvalidArchive(f"it lacks the config {saved.config[:200]!r}", hint="save the image again") from None
    digest = Digest.of(raw)
    named = _CONFIG_NAME.fullmatch(saved.config)
    if named and named[1] != digest.hex:
        raise DigestMismatch(f"the config {saved.config} has digest {digest}")
    blobs.elsewhere.setdefault(digest, saved.config)
    return digest


def classic_image(blobs: Blobs, saved: SavedImage) -> ArchiveImage:
    """The image, with a manifest made for it.

    Raises:
        InvalidArchive: something is missing, or counts disagree.
    """
    config_id = config_digest(blobs, saved)
    raw = blobs.document(config_id)
    config = parse_config(raw)
    paths = saved.layers or []
    if len(paths) != len(config.rootfs.diff_ids):
        raise InvalidArchive(f"image {config_id} has {len(paths)} layers and {len(config.rootfs.diff_ids)} diffIDs")
    layers = [_layer(blobs, path, diff) for path, diff in zip(paths, config.rootfs.diff_ids, strict=True)]
    manifest = encode(
        Manifest(
            media_type=media_types.OCI_MANIFEST,
            config=Descriptor(media_type=media_types.OCI_CONFIG, digest=config_id, size=len(raw)),
            layers=tuple(layers),
        )
    )
    digest = Digest.of(manifest)
    blobs.made[digest] = manifest
    descriptor = Descriptor(media_type=media_types.OCI_MANIFEST, digest=digest, size=len(manifest))
    platform = Platform(os=config.os or "linux", architecture=config.architecture, variant=config.variant)
    return ArchiveImage(saved.names(), descriptor, config_id, platform if config.architecture else None)


def _layer(blobs: Blobs, path: str, diff_id: Digest) -> Descriptor:
    try:
        region = blobs.files.region(path)
    except NotFound:
        raise InvalidArchive(f"it lacks the layer {path[:200]!r}", hint="save the image again") from None
    with closing(region):
        kind = detect(region.pread(0, HEAD))
        if kind in ("xz", "bzip2"):
            raise InvalidArchive(f"the layer {path[:200]!r} is compressed with {kind}, which no manifest can say")
        digest = diff_id if kind == "none" else _digest_of(region)
        blobs.elsewhere.setdefault(digest, path)
        return Descriptor(media_type=_LAYER_TYPES[kind], digest=digest, size=region.length)


def _digest_of(region: Region) -> Digest:
    state = hasher()
    while data := region.read(_HASH_CHUNK):
        state.update(data)
    return Digest.finish(state)
