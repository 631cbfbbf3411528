"""commit: an image from a container: its image's layers, one more with what the container changed, its settings.

Guarantees: the image has a row only when its layer is stored, verified and unpacked; a failure, or a caller who goes
away, leaves nothing but what collection takes; a container that was frozen for it runs again whatever happens. Its row
says "running" all the while: an agent that was killed in between finds a container that is frozen against its row, and
is to resume it at its start.

The layer is kept uncompressed, so its digest is its diffID. It is unpacked from the blob that was written, not taken
over from the container: what other hosts will get is what this host has. What the documents say is in `commit_config`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from jackstay_agent.containers import commit_config
from jackstay_agent.containers.process import ProcessPlan
from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import DigestMismatch, Error, NotFound, WrongState
from jackstay_agent.images.service import Images, canonical_name
from jackstay_agent.images.stored import StoredImage
from jackstay_agent.images.unpacking import Unpacker
from jackstay_agent.kernel.threads import begin, to_end
from jackstay_agent.layers.snapshotter import Diffed, Snapshotter
from jackstay_agent.metadata import images as image_rows
from jackstay_agent.metadata import leases
from jackstay_agent.metadata.containers import ContainerRow
from jackstay_oci import media_types
from jackstay_oci.documents import Descriptor, Manifest, parse_config
from jackstay_oci.identity import chain_ids
from jackstay_oci.image_config import ImageConfig
from jackstay_oci.store.ingest import Ingest

_PIECE = 1 << 20


class Freezer(Protocol):
    """What freezes a container: `runtime.Runtime`."""

    async def pause(self, container: str) -> None:
        """Freeze."""

    async def resume(self, container: str) -> None:
        """Undo `pause`."""

    async def state(self, container: str) -> Any:
        """What is known of it, with a `status`; None for nothing."""


class Locked(Protocol):
    """What has the lock that orders the verbs on one container: `engine.Entry`."""

    @property
    def lock(self) -> asyncio.Lock:
        """The lock."""
        ...


class Host(Protocol):
    """What is asked about containers: `engine.Engine`."""

    @property
    def runtime(self) -> Freezer:
        """What freezes them."""
        ...

    def entry(self, container: str) -> Locked:
        """What is known of the container with that id."""
        ...

    async def find(self, text: str) -> ContainerRow:
        """The container that *text* means."""
        ...

    async def get(self, container: str) -> ContainerRow:
        """The row of the id *container*."""
        ...

    async def plan(self, row: ContainerRow) -> ProcessPlan:
        """What it runs."""
        ...


@dataclass(frozen=True, slots=True)
class _Parent:
    image: StoredImage
    manifest: Manifest
    raw: bytes
    config: ImageConfig


async def commit(
    host: Host,
    snapshotter: Snapshotter,
    content: ContentStore,
    images: Images,
    unpacker: Unpacker,
    container: str,
    *,
    name: str = "",
    author: str = "",
    message: str = "",
    changes: Sequence[str] = (),
    pause: bool = True,
) -> str:
    """Make an image of *container* (id, start of one, or name); its id.

    Args:
        name: reference for it, "" for none.
        author: for config and history.
        message: the history's comment.
        changes: Dockerfile instructions.
        pause: freeze a running container while its files are read.

    Raises:
        NotFound: no such container.
        InvalidArgument, InvalidReference: a malformed change or name; nothing was done then.
        WrongState: the container is being removed.
        DiskFull, RuntimeFailed: and what `Snapshotter.diff` and `Snapshotter.apply` raise.
    """
    canonical = canonical_name(name) if name else ""
    row = await host.find(container)
    plan = await host.plan(row)
    async with content.lease() as lease:
        parent = await _parent(content, images, row, lease)
        run = commit_config.changed(commit_config.run_config(parent.config.config, plan), changes)
        layer = await _layer(host, snapshotter, content, row, lease, pause=pause)
        diff_ids = [*parent.config.rootfs.diff_ids, *([layer.digest] if layer is not None else [])]
        chain = chain_ids(diff_ids)
        if layer is not None:
            await unpacker.unpack(chain, layer.digest, layer, lease)
        created = time.time_ns()
        config = commit_config.encode_config(
            parent.raw, run, plan, created=created, author=author, message=message, layer=layer
        )
        image_id = await content.put(config, lease)
        manifest = commit_config.encode_manifest(parent.manifest, image_id, len(config), layer)
        layers = [*(blob.digest for blob in parent.manifest.layers), *([layer.digest] if layer is not None else [])]
        root = await content.put(manifest, lease, refers_to=[image_id, *layers])

        def work(connection: sqlite3.Connection) -> None:
            image_rows.insert(
                connection,
                root=root,
                media_type=media_types.OCI_MANIFEST,
                manifest=root,
                image_id=image_id,
                chain_id=str(chain[-1]) if chain else "",
                created=created,
                stored=time.time_ns(),
                labels=dict(run.labels),
            )
            if canonical:
                image_rows.name(connection, canonical, root)

        await content.database.write("images.committed", work)
        return str(image_id)


async def _parent(content: ContentStore, images: Images, row: ContainerRow, lease: str) -> _Parent:
    """The container's image, all of it held by *lease*: the container may be removed, and its image after it."""
    image = await images.by_root(row.image_root)
    manifest = await images.manifest(image)

    def hold(connection: sqlite3.Connection) -> None:
        if image_rows.by_root(connection, str(image.root)) is None:
            raise NotFound(f"No such image: {image.root}", hint="it was removed just now, with its container")
        for blob in (manifest.config, *manifest.layers):
            leases.keep_blob(connection, lease, blob.digest)
        if image.chain_id:
            leases.keep_snapshot(connection, lease, image.chain_id)

    await content.database.write("lease.parent", hold)
    raw = await images.raw_config(image)
    return _Parent(image, manifest, raw, parse_config(raw))


async def _layer(
    host: Host, snapshotter: Snapshotter, content: ContentStore, row: ContainerRow, lease: str, *, pause: bool
) -> Descriptor | None:
    """What the container changed, as a blob that is stored and held; None when it changed nothing."""
    async with content.new_ingest() as ingest:
        async with _still(host, row.id, pause=pause):
            diffed = await _write_diff(snapshotter, row.snapshot, ingest)
        if (ingest.digest, ingest.offset) != (diffed.diff_id, diffed.size):
            raise DigestMismatch(
                f"the layer of container {row.id} was written as {diffed.diff_id}, not {ingest.digest}"
            )
        if diffed.empty:
            return None
        await content.keep(lease, diffed.diff_id)
        await content.commit(ingest, diffed.diff_id, diffed.size, lease)
    return Descriptor(media_type=media_types.OCI_LAYER, digest=diffed.diff_id, size=diffed.size)


@asynccontextmanager
async def _still(host: Host, container: str, *, pause: bool) -> AsyncIterator[None]:
    """The container with nobody else at work on it, and frozen if it runs and *pause* says so."""
    async with host.entry(container).lock:
        row = await host.get(container)
        if row.state in ("removing", "dead"):
            raise WrongState(f"you cannot commit container {container} which is being removed")
        if not (pause and row.state == "running"):
            yield
            return
        try:
            await _freeze(host.runtime, container)
            yield
        finally:
            await to_end(_thaw(host.runtime, container))


async def _freeze(runtime: Freezer, container: str) -> None:
    try:
        await runtime.pause(container)
    except Error:
        told = await runtime.state(container)
        if told is not None and told.status == "running":
            raise
        # It has ended just now, and is as still as can be.


async def _thaw(runtime: Freezer, container: str) -> None:
    """Resume, whether the freeze was whole or cut; no error when there is nothing to resume."""
    told = await runtime.state(container)
    if told is not None and told.status == "paused":
        await runtime.resume(container)


async def _write_diff(snapshotter: Snapshotter, key: str, ingest: Ingest) -> Diffed:
    """Write the changes of the snapshot *key* into *ingest*, through a pipe, so that they are hashed on the way."""
    reading_end, writing_end = os.pipe2(os.O_CLOEXEC)
    reading = begin(_drain, reading_end, ingest)
    try:
        diffed = await snapshotter.diff(key, writing_end)
    except Error as error:
        os.close(writing_end)
        await to_end(asyncio.wait([reading]))
        # When the reader failed, the writer's error is only that nobody reads any more.
        if not reading.cancelled() and (cause := reading.exception()) is not None:
            raise cause from error
        raise
    except BaseException:
        os.close(writing_end)
        await to_end(asyncio.wait([reading]))
        raise
    os.close(writing_end)
    await to_end(reading)
    return diffed


def _drain(descriptor: int, ingest: Ingest) -> None:
    try:
        while piece := os.read(descriptor, _PIECE):
            ingest.write(piece)
    finally:
        os.close(descriptor)
