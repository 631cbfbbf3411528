"""system df: what everything on this host takes, and what removing it would free.

Measured, not believed: blobs and layers by their rows, which are written when the bytes are on disk; what containers
and volumes hold and partial ingests have, on the disk at the time of the call.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jackstay_agent.containers import state
from jackstay_agent.containers.engine import Engine
from jackstay_agent.containers.listing import Listed, list_containers
from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import NotFound
from jackstay_agent.images import document_times, listing
from jackstay_agent.images.filters import Filters
from jackstay_agent.images.listing import ListedImage
from jackstay_agent.images.sizes import LayerSizes
from jackstay_agent.metadata import usage
from jackstay_agent.metadata.usage import DiskUsage, Ingest
from jackstay_agent.volumes.service import Volume
from jackstay_oci.store.ingest_folder import IngestStatus

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Usage:
    """The lines of `system df`, and everything they count: docker's document of ``/system/df``, and in it the blobs and
    the partial ingests."""

    lines: list[DiskUsage]
    document: dict[str, Any]


async def measure(engine: Engine, content: ContentStore) -> Usage:
    """Measure it all."""

    def work(connection: sqlite3.Connection) -> tuple[Any, ...]:
        return (
            usage.images(connection),
            listing.lines(connection, Filters()),
            usage.blobs(connection),
            usage.ingests(connection),
            LayerSizes.read(connection),
        )

    lines, images, blobs, ingests, layers = await engine.database.read(work)
    partial = {status.ref: status for status in await content.ingests()}
    containers = await list_containers(engine, every=True)
    sizes = [await _writable(engine, item) for item in containers]
    volumes = await engine.volumes.list()
    volume_sizes = [await _folder(engine, os.path.dirname(volume.mountpoint)) for volume in volumes]
    ingests = [ingest for ingest in ingests if ingest.ref in partial]
    below = [await _below(engine, item, layers) for item in containers]
    return Usage(
        [
            *lines,
            _containers_line(containers, sizes),
            _volumes_line(volumes, volume_sizes),
            _ingests_line(ingests, partial),
        ],
        {
            "LayersSize": lines[2].size,
            "Images": _images(images),
            "Containers": [
                _container(item, size, size + root) for item, size, root in zip(containers, sizes, below, strict=True)
            ],
            "Volumes": [_volume(volume, size) for volume, size in zip(volumes, volume_sizes, strict=True)],
            "BuildCache": [],
            "Blobs": [
                {"Digest": row["digest"], "Size": row["size"], "Created": row["created"] // 10**9,
                 "Images": row["images"]}
                for row in blobs
            ],
            "Ingests": [_ingest(ingest, partial[ingest.ref]) for ingest in ingests],
        },
    )  # fmt: skip


async def _writable(engine: Engine, item: Listed) -> int:
    try:
        size, _inodes = await engine.snapshotter.usage(item.row.snapshot)
    except NotFound:  # removed since
        return 0
    return size


async def _below(engine: Engine, item: Listed, layers: LayerSizes) -> int:
    try:
        return layers.total((await engine.images.by_root(item.row.image_root)).chain_id)
    except NotFound:
        return 0


async def _folder(engine: Engine, folder: str) -> int:
    """Bytes on disk of *folder* with everything in it; 0 when it is not there."""
    try:
        descriptor = await asyncio.to_thread(os.open, folder, _FOLDER)
    except FileNotFoundError:
        return 0
    try:
        below, _inodes = await engine.jobs.run("jackstay_agent.layers.usage:count", None, [descriptor])
        return int(below) + os.fstat(descriptor).st_blocks * 512
    finally:
        os.close(descriptor)


def _containers_line(containers: Sequence[Listed], sizes: Sequence[int]) -> DiskUsage:
    ended = [
        size for item, size in zip(containers, sizes, strict=True) if item.row.state in ("created", "exited", "dead")
    ]
    running = sum(state.is_live(item.row.state) for item in containers)
    return DiskUsage("Containers", len(containers), running, sum(sizes), sum(ended))


def _volumes_line(volumes: Sequence[Volume], sizes: Sequence[int]) -> DiskUsage:
    unused = [size for volume, size in zip(volumes, sizes, strict=True) if not volume.users]
    return DiskUsage("Local Volumes", len(volumes), len(volumes) - len(unused), sum(sizes), sum(unused))


def _ingests_line(ingests: Sequence[Ingest], partial: dict[str, IngestStatus]) -> DiskUsage:
    active = [ingest for ingest in ingests if ingest.active]
    size = sum(partial[ingest.ref].offset for ingest in ingests)
    return DiskUsage(
        "Partial Ingests",
        len(ingests),
        len(active),
        size,
        size - sum(partial[ingest.ref].offset for ingest in active),
    )


def _images(lines: Sequence[ListedImage]) -> list[dict[str, Any]]:
    told: dict[str, dict[str, Any]] = {}
    for line in lines:
        image = told.setdefault(
            line.id,
            {
                "Id": line.id,
                "ParentId": "",
                "RepoTags": [],
                "RepoDigests": [],
                "Created": line.created // 10**9,
                "Size": line.size.total,
                "SharedSize": line.size.shared,
                "VirtualSize": line.size.total,
                "Labels": line.labels,
                "Containers": line.containers,
            },
        )
        if line.repository != listing.NONE:
            image["RepoTags"] += [f"{line.repository}:{line.tag}"] if line.tag != listing.NONE else []
            digest = f"{line.repository}@{line.digest}"
            image["RepoDigests"] += [] if digest in image["RepoDigests"] else [digest]
    return list(told.values())


def _container(item: Listed, size: int, root: int) -> dict[str, Any]:
    row = item.row
    return {
        "Id": row.id,
        "Names": [f"/{row.name}"],
        "Image": row.image,
        "ImageID": row.image_id,
        "Command": " ".join(item.plan.args),
        "Created": row.created // 10**9,
        "State": state.shown(state.of(row)),
        "Started": row.started // 10**9,
        "Finished": row.finished // 10**9,
        "ExitCode": row.exit_code or 0,
        "SizeRw": size,
        "SizeRootFs": root,
        "Labels": item.plan.labels,
        "Mounts": [{"Type": mount.type, "Source": mount.source} for mount in item.settings.mounts],
    }


def _volume(volume: Volume, size: int) -> dict[str, Any]:
    return {
        "Name": volume.name,
        "Driver": "local",
        "Mountpoint": volume.mountpoint,
        "CreatedAt": document_times.render(volume.created),
        "Labels": volume.labels,
        "Scope": "local",
        "UsageData": {"Size": size, "RefCount": len(volume.users)},
    }


def _ingest(ingest: Ingest, status: IngestStatus) -> dict[str, Any]:
    return {
        "Ref": ingest.ref,
        "Digest": ingest.digest,
        "Offset": status.offset,
        "Total": ingest.total,
        "UpdatedAt": document_times.render(status.updated_ns),
        "Active": ingest.active,
    }
