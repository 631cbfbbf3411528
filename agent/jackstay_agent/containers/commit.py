"""commit: an image from a container: its image's layers, one more with what the container changed, its settings.

Guarantees: the image has a row only when its layer is stored, verified and unpacked; a failure, or a caller who goes
away, leaves nothing but what collection takes; a container that was frozen for it runs again (`freezing`).

The layer is kept uncompressed, so its digest is its diffID. It is unpacked from the tar that is stored, not taken over
from the container (`commit_layer`): what other hosts will get is what this host has. What the documents say is in
`commit_config`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jackstay_agent.containers import commit_config, freezing
from jackstay_agent.containers.commit_layer import commit_layer
from jackstay_agent.containers.process import ProcessPlan
from jackstay_agent.content.store import Along, ContentStore
from jackstay_agent.errors import NotFound
from jackstay_agent.images.service import Images, canonical_name
from jackstay_agent.images.stored import StoredImage
from jackstay_agent.kernel.threads import finish, to_end
from jackstay_agent.layers.snapshotter import Snapshotter
from jackstay_agent.metadata import blobs as blob_rows
from jackstay_agent.metadata import images as image_rows
from jackstay_agent.metadata import leases
from jackstay_agent.metadata.containers import ContainerRow
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Manifest, parse_config
from jackstay_oci.identity import chain_ids
from jackstay_oci.image_config import ImageConfig


class Host(freezing.Host, Protocol):
    """What is asked about containers: `engine.Engine`."""

    async def find(self, text: str) -> ContainerRow:
        """The container that *text* means."""
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
        below = parent.config.rootfs.diff_ids
        still = freezing.still(host, row.id, pause=pause)
        layer = await commit_layer(snapshotter, content, row.snapshot, below, lease, still)
        created = time.time_ns()
        config = commit_config.encode_config(
            parent.raw, run, plan, created=created, author=author, message=message, layer=layer
        )
        image_id = Digest.of(config)
        manifest = commit_config.encode_manifest(parent.manifest, image_id, len(config), layer)
        chain = chain_ids([*below, *([layer.digest] if layer is not None else [])])
        layers = [*(blob.digest for blob in parent.manifest.layers), *([layer.digest] if layer is not None else [])]
        root = Digest.of(manifest)

        def name_it(connection: sqlite3.Connection) -> None:
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

        await _store(content, lease, config, manifest, refers_to=[image_id, *layers], along=name_it)
        told = {"image": row.image, "name": row.name, "comment": message, "imageID": str(image_id), "imageRef": name}
        images.record("container", "commit", row.id, told, plan.labels)
        return str(image_id)


async def _store(
    content: ContentStore, lease: str, config: bytes, manifest: bytes, refers_to: Sequence[Digest], along: Along
) -> None:
    """Store the two documents, the second of which names *refers_to*: held in one transaction, and in a second one
    recorded, *along* with which they are known. See `ContentStore.put`.

    What was stored for a caller who went away meanwhile is recorded all the same, without *along*, for collection to
    take.
    """
    image_id, root = Digest.of(config), Digest.of(manifest)

    def hold(connection: sqlite3.Connection) -> None:
        leases.keep_blob(connection, lease, image_id)
        leases.keep_blob(connection, lease, root)

    async def record(along: Along) -> None:
        def work(connection: sqlite3.Connection) -> None:
            blob_rows.insert(connection, image_id, len(config))
            along(connection)

        await to_end(content.record(root, len(manifest), lease, refers_to=refers_to, along=work))

    await content.database.write("lease.blob", hold)
    try:
        await to_end(asyncio.gather(*(finish(content.blobs.put, document) for document in (config, manifest))))
    except asyncio.CancelledError:
        await record(lambda _connection: None)
        raise
    await record(along)


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
