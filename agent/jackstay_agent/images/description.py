"""Docker's documents of one image: `inspect` and `history`; and its layers. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec

from jackstay_agent.images import document_times, run_config
from jackstay_agent.images.sizes import LayerSizes
from jackstay_agent.images.stored import StoredImage
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Index
from jackstay_oci.identity import chain_ids
from jackstay_oci.image_config import ImageConfig
from jackstay_oci.reference import Reference

MISSING = "<missing>"
CREATED_BY = 4096
"""Characters that `layers` tells of the step that made one; all of an image's may be megabytes."""


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One step, newest first; `id` is the image's for the newest and ``<missing>`` for the others, as Docker has it."""

    id: str
    created: int  # seconds since 1970
    created_by: str
    size: int
    comment: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """One layer of an image, with the step that made it, "" when no step tells of it."""

    chain_id: str
    diff_id: str
    size: int  # bytes unpacked
    created_by: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What `inspect` tells beside the documents: the root's descriptor, bytes unpacked, storage driver, when somebody
    last named the image (nanoseconds since 1970, 0 for never), and of an index what is in it and which manifests are
    here."""

    root: Descriptor
    size: int
    driver: str
    tagged: int
    index: Index | None = None
    here: Collection[Digest] = ()


def inspect(image: StoredImage, raw_config: bytes, config: ImageConfig, stored: Stored) -> dict[str, Any]:
    """Docker's `image inspect` object: the fields of all its versions, and the descriptor and manifests that the newer
    ones tell. Where the layers are is the storage driver's secret, so `GraphDriver` has no data.
    """
    document = msgspec.json.decode(raw_config)
    names = [Reference.parse(name) for name in image.names]
    comment = document.get("comment")
    told = {
        "Id": str(image.image_id),
        "RepoTags": [name.familiar for name in names if name.tag],
        "RepoDigests": image.repo_digests,
        "Parent": "",
        "Comment": comment if isinstance(comment, str) and comment else _last_comment(config),
        "Created": document_times.canonical(config.created),
        "DockerVersion": config.docker_version,
        "Author": config.author,
        "Config": run_config.document(document.get("config")),
        "Architecture": config.architecture,
        "Variant": config.variant,
        "Os": config.os,
        "OsVersion": config.os_version,
        "Size": stored.size,
        "VirtualSize": stored.size,
        "GraphDriver": {"Data": None, "Name": stored.driver},
        "RootFS": {"Type": "layers", "Layers": [str(diff_id) for diff_id in config.rootfs.diff_ids]},
        "Metadata": {"LastTagTime": document_times.render(stored.tagged)},
        "Descriptor": _descriptor(stored.root),
    }
    if stored.index is not None:
        told["Manifests"] = [_manifest(each, each.digest in stored.here) for each in stored.index.manifests]
    for name in ("Variant", "OsVersion"):  # docker leaves them out
        if not told[name]:
            del told[name]
    return told


def history(image: StoredImage, config: ImageConfig, sizes: LayerSizes) -> list[HistoryLine]:
    """Docker's `history` of the image, newest first.

    Layers that no step tells of (an imported archive without history) still take space and are shown; a step that has
    no layer left takes none.
    """
    chain = iter(chain_ids(config.rootfs.diff_ids))
    lines = []
    for step in config.history:
        layer = None if step.empty_layer else next(chain, None)
        lines.append(
            HistoryLine(
                id=MISSING,
                created=document_times.parse(step.created) // 10**9,
                created_by=step.created_by,
                size=0 if layer is None else sizes.size(str(layer)),
                comment=step.comment,
                tags=(),
            )
        )
    lines.extend(HistoryLine(MISSING, 0, "", sizes.size(str(layer)), "", ()) for layer in chain)
    lines.reverse()
    if lines:
        newest = lines[0]
        tags = tuple(Reference.parse(name).familiar for name in image.names)
        lines[0] = HistoryLine(
            str(image.image_id), newest.created, newest.created_by, newest.size, newest.comment, tags
        )
    return lines


def layers(config: ImageConfig, sizes: LayerSizes) -> list[ImageLayer]:
    """The layers of an image, lowest first."""
    diff_ids = config.rootfs.diff_ids
    made_by = [step.created_by[:CREATED_BY] for step in config.history if not step.empty_layer][: len(diff_ids)]
    made_by += [""] * (len(diff_ids) - len(made_by))
    return [
        ImageLayer(str(chain_id), str(diff_id), sizes.size(str(chain_id)), created_by)
        for chain_id, diff_id, created_by in zip(chain_ids(diff_ids), diff_ids, made_by, strict=True)
    ]


def _last_comment(config: ImageConfig) -> str:
    return config.history[-1].comment if config.history else ""


def _descriptor(blob: Descriptor) -> dict[str, Any]:
    return {"mediaType": blob.media_type, "digest": str(blob.digest), "size": blob.size}


def _manifest(blob: Descriptor, here: bool) -> dict[str, Any]:
    """Docker's `Manifests` element. A manifest of an attestation has the platform "unknown/unknown"."""
    told: dict[str, Any] = {"ID": str(blob.digest), "Descriptor": _descriptor(blob), "Available": here}
    if blob.annotations.get("vnd.docker.reference.type") == "attestation-manifest":
        return told | {"Kind": "attestation"}
    if not media_types.is_manifest(blob.media_type) or blob.platform is None:
        return told | {"Kind": "unknown"}
    platform = {"architecture": blob.platform.architecture, "os": blob.platform.os}
    if blob.platform.variant:
        platform["variant"] = blob.platform.variant
    return told | {"Kind": "image", "ImageData": {"Platform": platform}}
