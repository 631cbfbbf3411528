"""Receiving an image: its manifest, config and layers are fetched, the layers unpacked, and it gets its names.

Guarantees: nothing has a name before all of it is here, verified and unpacked; a failure or a cut leaves ingests to
resume from and nothing else; a blob that this host's disk has damaged is fetched again when that shows. A layer is
unpacked as soon as it and the layers below it are here, while others are still coming. At most `LAYERS_AT_ONCE` layers
come at the same time.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from jackstay_agent.config import Limits
from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import (
    DigestMismatch,
    DiskFull,
    Error,
    InvalidArchive,
    InvalidDocument,
    LimitExceeded,
    SourceFailed,
    Unsupported,
)
from jackstay_agent.fetch.blob import BlobFetcher, Fetched, ingest_of
from jackstay_agent.fetch.progress import Phase, Progress, Report
from jackstay_agent.fetch.source import Source
from jackstay_agent.images import document_times
from jackstay_agent.images.room import Room
from jackstay_agent.images.unpacking import Unpacker
from jackstay_agent.metadata import blobs as blob_rows
from jackstay_agent.metadata import images as image_rows
from jackstay_oci import media_types, platforms
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Index, Manifest, parse_config, parse_manifest
from jackstay_oci.identity import chain_ids
from jackstay_oci.image_config import ImageConfig

LAYERS_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Target:
    """An image to make be here: its root descriptor and the canonical names to give it."""

    root: Descriptor
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """An image that is here now. `changed` is false when it was, under these names, already."""

    target: Target
    image_id: Digest
    changed: bool
    sent: int
    spared: int


@dataclass(frozen=True, slots=True)
class _Documents:
    manifest_digest: Digest
    manifest: Manifest
    config: ImageConfig
    moved: tuple[Fetched, ...]


class Receiver:
    """Receives images; one for the whole agent, since it keeps two fetches of one blob apart."""

    def __init__(self, content: ContentStore, unpacker: Unpacker, room: Room, limits: Limits) -> None:
        self._content = content
        self._unpacker = unpacker
        self._room = room
        self._limits = limits
        self._fetcher = BlobFetcher(content)

    async def receive(self, target: Target, sources: Sequence[Source], report: Report) -> Received:
        """Make *target* be here.

        A full disk is a reason to give up what other fetches left for a later try, and to go on. Raises `SourceFailed`,
        `DigestMismatch`, `InvalidDocument`, `InvalidArchive` (a layer), `LimitExceeded`, `DiskFull`, `Unsupported` (no
        manifest for this host's platform). After `SourceFailed` and `DiskFull` what came is kept for the next try,
        after the others it is collected.
        """
        begun: set[str] = set()

        def note(step: Progress) -> None:
            begun.add(ingest_of(step.digest))
            report(step)

        try:
            try:
                return await self._receive(target, sources, note)
            except DiskFull:
                if not await self._room.make(keep=begun, fetch=target.root.digest):
                    raise
            return await self._receive(target, sources, note)
        except (SourceFailed, DiskFull):
            raise
        except Error:
            await self._room.collect()
            raise

    async def _receive(self, target: Target, sources: Sequence[Source], report: Report) -> Received:
        async with self._content.lease(fetch=target.root.digest) as lease:
            documents = await self._documents(target.root, sources, lease, report)
            chain = chain_ids(documents.config.rootfs.diff_ids)
            moved = [*documents.moved, *await self._layers(documents, chain, sources, lease, report)]
            changed = await self._name(target, documents, chain, lease)
        return Received(
            target=target,
            image_id=documents.manifest.config.digest,
            changed=changed,
            sent=sum(fetched.sent for fetched in moved),
            spared=sum(fetched.spared for fetched in moved),
        )

    async def _documents(self, root: Descriptor, sources: Sequence[Source], lease: str, report: Report) -> _Documents:
        moved = [await self._document(root, sources, lease, report)]
        described = root
        document = parse_manifest(await self._content.read_document(root.digest), root.media_type)
        if isinstance(document, Index):
            chosen = platforms.choose(document.manifests, platforms.this_host())
            if chosen is None:
                raise Unsupported(
                    f"image {root.digest} has no manifest for {platforms.this_host()}",
                    hint=f"it is for {', '.join(str(m.platform) for m in document.manifests if m.platform) or 'none'}",
                )
            moved.append(await self._document(chosen, sources, lease, report))
            inner = parse_manifest(await self._content.read_document(chosen.digest), chosen.media_type)
            if isinstance(inner, Index):
                raise InvalidDocument(f"index {root.digest} names another index")
            await self._refer(root.digest, [chosen.digest])
            described, document = chosen, inner
        self._check_layers(described.digest, document)
        moved.append(await self._document(document.config, sources, lease, report))
        config = parse_config(await self._content.read_document(document.config.digest))
        if len(config.rootfs.diff_ids) != len(document.layers):
            raise InvalidDocument(
                f"image {described.digest} has {len(document.layers)} layers, its config names "
                f"{len(config.rootfs.diff_ids)}"
            )
        await self._refer(described.digest, [document.config.digest, *(layer.digest for layer in document.layers)])
        return _Documents(described.digest, document, config, tuple(moved))

    async def _document(self, blob: Descriptor, sources: Sequence[Source], lease: str, report: Report) -> Fetched:
        if blob.size > self._limits.document_bytes:
            raise LimitExceeded(
                f"document {blob.digest} has {blob.size} bytes, the bound document_bytes is "
                f"{self._limits.document_bytes}"
            )
        fetched = await self._fetcher.fetch(blob, sources, lease, report)
        return await self._fetcher.repair(blob, sources, lease, report) or fetched

    def _check_layers(self, digest: Digest, manifest: Manifest) -> None:
        if len(manifest.layers) > self._limits.layers:
            raise LimitExceeded(
                f"image {digest} has {len(manifest.layers)} layers, the bound layers is {self._limits.layers}"
            )
        for layer in manifest.layers:
            if not media_types.is_layer(layer.media_type):
                raise Unsupported(f"image {digest} has a layer of media type {layer.media_type[:100]!r}")
            if layer.size > self._limits.layer_bytes:
                raise LimitExceeded(
                    f"layer {layer.digest} has {layer.size} bytes, the bound layer_bytes is {self._limits.layer_bytes}"
                )

    async def _layers(
        self, documents: _Documents, chain: Sequence[Digest], sources: Sequence[Source], lease: str, report: Report
    ) -> list[Fetched]:
        layers = documents.manifest.layers
        turn = asyncio.Semaphore(LAYERS_AT_ONCE)
        unpacked = [asyncio.Event() for _ in layers]

        async def layer(index: int, blob: Descriptor) -> Fetched:
            async with turn:
                fetched = await self._fetcher.fetch(blob, sources, lease, report)
            if index:
                await unpacked[index - 1].wait()
            report(Progress(blob.digest, Phase.UNPACKING, 0, blob.size))
            diff_id = documents.config.rootfs.diff_ids[index]
            try:
                await self._unpacker.unpack(chain[: index + 1], diff_id, blob, lease)
            except (DigestMismatch, InvalidArchive, LimitExceeded):
                repaired = await self._fetcher.repair(blob, sources, lease, report)
                if repaired is None:  # it is the image that is wrong, not this host's disk
                    raise
                fetched = Fetched(fetched.sent + repaired.sent, repaired.spared)
                await self._unpacker.unpack(chain[: index + 1], diff_id, blob, lease)
            report(Progress(blob.digest, Phase.UNPACKED, blob.size, blob.size))
            unpacked[index].set()
            return fetched

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(layer(index, blob)) for index, blob in enumerate(layers)]
        except BaseExceptionGroup as failures:
            raise _first(failures) from failures
        return [task.result() for task in tasks]

    async def _name(self, target: Target, documents: _Documents, chain: Sequence[Digest], lease: str) -> bool:
        config = documents.config

        def work(connection: sqlite3.Connection) -> bool:
            new = image_rows.by_root(connection, str(target.root.digest)) is None
            image_rows.insert(
                connection,
                root=target.root.digest,
                media_type=target.root.media_type,
                manifest=documents.manifest_digest,
                image_id=documents.manifest.config.digest,
                chain_id=str(chain[-1]) if chain else "",
                created=document_times.parse(config.created),
                stored=time.time_ns(),
                labels=config.config.labels,
            )
            named = [image_rows.name(connection, name, target.root.digest) for name in target.names]
            if named:
                # The same image from another archive has another manifest. Under its old one nobody would know it.
                image_rows.drop_twins(connection, target.root.digest)
            return new or any(named)

        return await self._content.database.write("images.named", work)

    async def _refer(self, parent: Digest, children: list[Digest]) -> None:
        await self._content.database.write("content.references", lambda c: blob_rows.refer(c, parent, children))


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
