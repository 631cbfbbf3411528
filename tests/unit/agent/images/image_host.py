"""Images made of dictionaries, a source that gives them from memory, and the agent's image parts on real ones below."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import sqlite3
import tarfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from jackstay_agent.config import Limits
from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import SourceFailed
from jackstay_agent.fetch.progress import Phase, Progress
from jackstay_agent.gc.collect import Collector
from jackstay_agent.images.documents import Target
from jackstay_agent.images.pulling import Puller
from jackstay_agent.images.pushing import Pusher
from jackstay_agent.images.receiving import Received, Receiver
from jackstay_agent.images.room import Room
from jackstay_agent.images.saving import Saver
from jackstay_agent.images.service import Images
from jackstay_agent.images.unpacking import Unpacker
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers.overlay import OverlaySnapshotter
from jackstay_agent.metadata import blobs, containers
from jackstay_agent.metadata.database import Database
from jackstay_oci import media_types, platforms
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from tests.unit.agent.images.memory_registry import MemoryRegistries


def tar(files: dict[str, bytes]) -> bytes:
    """A layer with *files*; the same files give the same bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def descriptor(media_type: str, data: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data), **more}


def platform() -> dict[str, str]:
    here = platforms.this_host()
    return {"os": here.os, "architecture": here.architecture, **({"variant": here.variant} if here.variant else {})}


@dataclass
class Made:
    """An image as its blobs; `config` and `manifest` are dictionaries that a test changes before it asks for `root`."""

    layers: list[bytes]
    compress: bool = False
    config: dict[str, Any] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    blobs: dict[Digest, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        packed = [gzip.compress(layer, mtime=0) if self.compress else layer for layer in self.layers]
        kind = media_types.OCI_LAYER_GZIP if self.compress else media_types.OCI_LAYER
        self.blobs.update((Digest.of(data), data) for data in packed)
        self.config = {
            **platform(),
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(layer)) for layer in self.layers]},
            **self.config,
        }
        self.manifest = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "layers": [descriptor(kind, data) for data in packed],
            **self.manifest,
        }

    @property
    def config_bytes(self) -> bytes:
        return msgspec.json.encode(self.config)

    @property
    def image_id(self) -> str:
        return str(Digest.of(self.config_bytes))

    @property
    def root(self) -> Descriptor:
        self.blobs[Digest.of(self.config_bytes)] = self.config_bytes
        document = {"config": descriptor(media_types.OCI_CONFIG, self.config_bytes), **self.manifest}
        return self.add(media_types.OCI_MANIFEST, document)

    def index(self, *manifests: dict[str, Any]) -> Descriptor:
        document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": list(manifests)}
        return self.add(media_types.OCI_INDEX, document)

    def add(self, media_type: str, document: Any) -> Descriptor:
        data = msgspec.json.encode(document)
        self.blobs[Digest.of(data)] = data
        return Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data))


class Memory:
    """Implements `fetch.source.Source`: gives *blobs*, and notes what was asked of it."""

    name = "memory"

    def __init__(self, blobs: dict[Digest, bytes]) -> None:
        self.blobs = blobs
        self.asked: list[Digest] = []

    async def read(self, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        self.asked.append(digest)
        if digest not in self.blobs:
            raise SourceFailed(f"memory has no {digest}")
        for start in range(offset, offset + length, 1 << 16):
            await asyncio.sleep(0)
            yield self.blobs[digest][start : min(start + (1 << 16), offset + length)]

    def distrust(self, digest: Digest) -> bool:
        return False


class ImageHost:
    """The parts of an agent that images need."""

    def __init__(self, root: Path, database: Database, jobs: Spawner, mounts: Mounts, limits: Limits) -> None:
        self.root = root
        self.database = database
        self.content = ContentStore(str(root / "content"), database)
        self.layers = OverlaySnapshotter(str(root / "layers"), database, jobs, mounts, limits)
        self.collector = Collector(database, self.content, self.layers)
        self.images = Images(self.content)
        self.room = Room(self.content, self.collector)
        self.unpacker = Unpacker(self.content, self.layers)
        self.receiver = Receiver(self.content, self.unpacker, self.room, limits)
        self.registries = MemoryRegistries()
        self.puller = Puller(self.content, self.receiver, self.registries)
        self.pusher = Pusher(self.content, self.images, self.registries)
        self.saver = Saver(self.content, self.images)
        self.steps: list[Progress] = []

    async def load(self, made: Made, *names: str, root: Descriptor | None = None) -> Received:
        """Receive *made* under canonical *names*, from memory."""
        root = root or made.root
        return await self.receiver.receive(Target(root, names), [Memory(made.blobs)], self.steps.append)

    def phases(self, made: Made) -> dict[Phase, int]:
        """How often each phase was told of the layers of *made*."""
        layers = {layer["digest"] for layer in made.manifest["layers"]}
        told = [step.phase for step in self.steps if str(step.digest) in layers]
        return {phase: told.count(phase) for phase in told}

    async def container(self, name: str, root: Digest, state: str = "exited") -> None:
        """The row of a container of the image under *root*."""
        image = await self.images.by_root(str(root))
        row = containers.ContainerRow(
            id=Digest.of(name.encode()).hex, name=name, image=name, image_root=str(root), image_id=str(image.image_id),
            snapshot=f"container-{name}", config="{}", state=state, created=0,
        )  # fmt: skip
        await self.database.write("test", lambda c: containers.insert(c, row))

    async def end(self, name: str) -> None:
        """The container is removed."""
        await self.database.write("test", lambda c: containers.delete(c, Digest.of(name.encode()).hex))

    async def forget(self) -> None:
        """Take every name and image away, as `rmi -f` of all of them does; what they were made of stays."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM names")
            connection.execute("DELETE FROM images")

        await self.database.write("test", work)

    async def column(self, query: str, *values: str) -> list[Any]:
        def work(connection: sqlite3.Connection) -> list[Any]:
            return [row[0] for row in connection.execute(query, values)]

        return await self.database.read(work)

    async def whole(self) -> None:
        """Assert that rows and files tell one story and that nobody holds or waits for anything."""
        for table in ("leases", "ingests"):
            assert await self.column(f"SELECT 1 FROM {table}") == [], table
        assert await self.column("SELECT key FROM snapshots WHERE key LIKE 'extract-%'") == []
        rows = await self.database.read(blobs.all_digests)
        files = await asyncio.to_thread(lambda: {str(digest) for digest, _ in self.content.blobs.walk()})
        assert files == rows
        assert await asyncio.to_thread(lambda: list(self.content.blobs.ingests())) == []
        folders = self.root / "layers" / "snapshots"
        found = sorted(os.listdir(folders)) if folders.exists() else []
        assert found == sorted(str(number) for number in await self.column("SELECT id FROM snapshots"))
