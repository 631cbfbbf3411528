"""Docker's documents of one image: `inspect` and `history`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from jackstay_agent.images import document_times
from jackstay_agent.images.sizes import LayerSizes
from jackstay_agent.images.stored import StoredImage
from jackstay_oci.identity import chain_ids
from jackstay_oci.image_config import ImageConfig
from jackstay_oci.reference import Reference


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One step, newest first; `id` is the image's for the newest and ``<missing>`` for the others, as Docker has it."""

    id: str
    created: int  # seconds since 1970
    created_by: str
    size: int
    comment: str
    tags: tuple[str, ...]


def inspect(image: StoredImage, raw_config: bytes, config: ImageConfig, size: int, driver: str) -> dict[str, Any]:
    """Docker's `image inspect` object."""
    document = msgspec.json.decode(raw_config)
    names = [Reference.parse(name) for name in image.names]
    return {
        "Id": str(image.image_id),
        "RepoTags": [name.familiar for name in names],
        "RepoDigests": sorted({f"{name.familiar_name}@{image.root}" for name in names}),
        "Parent": "",
        "Comment": config.history[-1].comment if config.history else "",
        "Created": config.created or document_times.render(0),
        "DockerVersion": config.docker_version,
        "Author": config.author,
        "Config": document.get("config") or {},
        "Architecture": config.architecture,
        "Variant": config.variant,
        "Os": config.os,
        "Size": size,
        "GraphDriver": {"Name": driver, "Data": None},
        "RootFS": {"Type": "layers", "Layers": [str(diff_id) for diff_id in config.rootfs.diff_ids]},
        "Metadata": {"LastTagTime": document_times.render(image.stored)},
        "Descriptor": {"mediaType": image.media_type, "digest": str(image.root)},
    }


def history(image: StoredImage, config: ImageConfig, sizes: LayerSizes) -> list[HistoryLine]:
    """Docker's `history` of the image, newest first."""
    chain = iter(chain_ids(config.rootfs.diff_ids))
    lines = []
    for step in config.history:
        layer = None if step.empty_layer else next(chain, None)
        lines.append(
            HistoryLine(
                id="<missing>",
                created=document_times.parse(step.created) // 10**9,
                created_by=step.created_by,
                size=0 if layer is None else sizes.size(str(layer)),
                comment=step.comment,
                tags=(),
            )
        )
    # Layers that no step tells of (an imported archive without history) still take space and are shown.
    lines.extend(HistoryLine("<missing>", 0, "", sizes.size(str(layer)), "", ()) for layer in chain)
    lines.reverse()
    if lines:
        newest = lines[0]
        tags = tuple(Reference.parse(name).familiar for name in image.names)
        lines[0] = HistoryLine(
            str(image.image_id), newest.created, newest.created_by, newest.size, newest.comment, tags
        )
    return lines
