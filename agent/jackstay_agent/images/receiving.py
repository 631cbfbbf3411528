"""Receiving an image: its manifest, config and layers are fetched, the layers unpacked, and it gets its names.

Guarantees: nothing has a name before all of it is here, verified and unpacked; a failure or a cut leaves ingests to
resume from and nothing else; a blob that this host's disk has damaged is fetched again when that shows. A layer is
unpacked while it comes, and several at once. At most `LAYERS_AT_ONCE` layers come at the same time, and beside them
what is attached to the image (`attached`).
"""

from __future__ import annotations

import asyncio
import copy
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
    LimitExceeded,
    SourceFailed,
)
from jackstay_agent.events.event import Record, unrecorded
from jackstay_agent.fetch.blob import BlobFetcher, Fetched, ingest_of
from jackstay_agent.fetch.progress import Phase, Progress, Report
from jackstay_agent.fetch.source import Source
from jackstay_agent.images import attached, document_times
from jackstay_agent.images.attached import Arrived, AttachedReceiver
from jackstay_agent.images.documents import DocumentReceiver, Documents, Target
from jackstay_agent.images.room import Room
from jackstay_agent.images.unpacking import Unpacker
from jackstay_agent.metadata import images as image_rows
from jackstay_oci.attached.gathering import Ask
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.growing import Growth
from jackstay_oci.identity import chain_ids
from jackstay_oci.reference import Reference

LAYERS_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Received:
    """An image that is here now. `changed` is false when it was, under these names, already; `warnings` say what is
    attached to it and did not come."""

    target: Target
    image_id: Digest
    changed: bool
    sent: int
    spared: int
    warnings: tuple[str, ...] = ()


class Receiver:
    """Receives images; one for the whole agent, since it keeps two fetches of one blob apart."""

    def __init__(self, content: ContentStore, unpacker: Unpacker, room: Room, limits: Limits) -> None:
        self._content = content
        self._unpacker = unpacker
        self._room = room
        self._fetcher = BlobFetcher(content)
        self._documents = DocumentReceiver(content, self._fetcher, limits)
        self._attached = AttachedReceiver(content, self._fetcher)
        self.record: Record = unrecorded

    async def receive(
        self, target: Target, sources: Sequence[Source], report: Report, ask: Ask | None = None
    ) -> Received:
        """Make *target* be here, and what *ask* says is attached to it.

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
                return await self._receive(target, sources, note, ask)
            except DiskFull:
                if not await self._room.make(keep=begun, fetch=target.root.digest):
                    raise
            return await self._receive(target, sources, note, ask)
        except (SourceFailed, DiskFull):
            raise
        except Error as error:
            await self._room.collect()
            raise _naming(target, error) from error

    async def _receive(self, target: Target, sources: Sequence[Source], report: Report, ask: Ask | None) -> Received:
        async with self._content.lease(fetch=target.root.digest) as lease:
            documents = await self._documents.receive(target, sources, lease, report)
            chain = chain_ids(documents.config.rootfs.diff_ids)
            image = (target.root.digest, documents.digest, *documents.others)
            async with self._attached.receiving(image, ask, sources, lease, report) as coming:
                moved = [*documents.moved, *await self._layers(documents, chain, sources, lease, report)]
                arrived = await coming.arrived()
            moved += arrived.moved
            changed, replaced = await self._name(target, documents, chain, arrived)
        if replaced or arrived.warnings:  # of what did not come in whole, parts may be here
            await self._room.collect()
        image_id = str(documents.manifest.config.digest)
        for name in [Reference.parse(name).familiar for name in target.names] or [image_id]:
            self.record("image", target.event, image_id, {"name": name}, documents.config.config.labels)
        return Received(
            target=target,
            image_id=documents.manifest.config.digest,
            changed=changed,
            sent=sum(fetched.sent for fetched in moved),
            spared=sum(fetched.spared for fetched in moved),
            warnings=arrived.warnings,
        )

    async def _layers(
        self, documents: Documents, chain: Sequence[Digest], sources: Sequence[Source], lease: str, report: Report
    ) -> list[Fetched]:
        layers = documents.manifest.layers
        turn = asyncio.Semaphore(LAYERS_AT_ONCE)
        unpacked = [asyncio.Event() for _ in range(len(layers) + 1)]  # whether everything below the layer is there
        unpacked[0].set()

        async def layer(index: int, blob: Descriptor) -> Fetched:
            below, diff_id = unpacked[index], documents.config.rootfs.diff_ids[index]
            to_here = chain[: index + 1]
            following: list[asyncio.Task[bool]] = []

            def follow(growth: Growth) -> None:
                task = group.create_task(self._unpacker.follow(to_here, diff_id, blob, lease, growth, below))
                task.add_done_callback(lambda _: growth.close_reader())  # which a task cut before it began would not
                following.append(task)

            async with turn:
                fetched = await self._fetcher.fetch(blob, sources, lease, report, follow)
            report(Progress(blob.digest, Phase.UNPACKING, 0, blob.size))
            done = [await task for task in following]
            if not any(done):
                await below.wait()
                fetched = await self._unpack(to_here, diff_id, blob, fetched, sources, lease, report)
            report(Progress(blob.digest, Phase.UNPACKED, blob.size, blob.size))
            unpacked[index + 1].set()
            return fetched

        async def beside(blob: Descriptor) -> Fetched:
            async with turn:
                return await self._fetcher.fetch(blob, sources, lease, report)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(layer(index, blob)) for index, blob in enumerate(layers)]
                tasks += [group.create_task(beside(blob)) for blob in documents.beside]
        except BaseExceptionGroup as failures:
            raise _first(failures) from failures
        return [task.result() for task in tasks]

    async def _unpack(
        self,
        chain: Sequence[Digest],
        diff_id: Digest,
        blob: Descriptor,
        fetched: Fetched,
        sources: Sequence[Source],
        lease: str,
        report: Report,
    ) -> Fetched:
        """Unpack a layer that is stored, and repair it first where that shows that the disk has damaged it."""
        try:
            await self._unpacker.unpack(chain, diff_id, blob, lease)
        except (DigestMismatch, InvalidArchive, LimitExceeded):
            repaired = await self._fetcher.repair(blob, sources, lease, report)
            if repaired is None:  # it is the image that is wrong, not this host's disk
                raise
            await self._unpacker.unpack(chain, diff_id, blob, lease)
            return Fetched(fetched.sent + repaired.sent, repaired.spared)
        return fetched

    async def _name(
        self, target: Target, documents: Documents, chain: Sequence[Digest], arrived: Arrived
    ) -> tuple[bool, bool]:
        """Give the image its row and names; whether that changed anything, and whether it took another's place."""
        config = documents.config

        def work(connection: sqlite3.Connection) -> tuple[bool, bool]:
            here = image_rows.by_root(connection, str(target.root.digest))
            new = here is None or here["manifest"] != str(documents.digest)
            image_rows.insert(
                connection,
                root=target.root.digest,
                media_type=target.root.media_type,
                manifest=documents.digest,
                image_id=documents.manifest.config.digest,
                chain_id=str(chain[-1]) if chain else "",
                created=document_times.parse(config.created),
                stored=time.time_ns(),
                labels=config.config.labels,
            )
            named = [image_rows.name(connection, name, target.root.digest) for name in target.names]
            attached.keep(connection, arrived.attached, target.names)
            # The same image from another archive has another manifest. Under its old one nobody would know it.
            twins = image_rows.drop_twins(connection, target.root.digest) if named else 0
            return new or any(named), bool(twins) or (new and here is not None)

        return await self._content.database.write("images.named", work)


def _naming(target: Target, error: Error) -> Error:
    """The same error, which says of which image: of several that come at once, or that share a layer."""
    if not target.names or target.label in error.message:
        return error
    named = copy.copy(error)
    named.message = f"image {target.label}: {error.message}"
    return named


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
