"""Making images of containers: real database, content and snapshots; only the runtime is a fake. Needs root."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sqlite3
import tarfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jackstay_agent.config import Limits
from jackstay_agent.containers import process
from jackstay_agent.containers.commit import commit
from jackstay_agent.containers.engine import Entry, settings_of
from jackstay_agent.containers.process import ProcessPlan
from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import (
    DigestMismatch,
    DiskFull,
    Error,
    InvalidArgument,
    InvalidReference,
    NotFound,
    RuntimeFailed,
    Unsupported,
    WrongState,
)
from jackstay_agent.images.service import Images
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers.overlay import OverlaySnapshotter
from jackstay_agent.metadata import containers as rows
from jackstay_agent.metadata import images as image_rows
from jackstay_agent.metadata import leases
from jackstay_agent.metadata.containers import ContainerRow
from jackstay_agent.metadata.database import Database
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Manifest, encode
from jackstay_oci.identity import chain_ids
from jackstay_oci.image_config import ContainerConfig, History, ImageConfig, RootFS
from jackstay_oci.store.blobs import BlobStore
from jackstay_oci.store.ingest import Ingest
from tests.unit.agent.containers.container_values import settings

ID = "c" * 64


class Runtime:
    """A runtime that remembers what it was told."""

    def __init__(self) -> None:
        self.status = "running"
        self.told: list[str] = []
        self.failing: Exception | None = None

    async def pause(self, container: str) -> None:
        self.told.append("pause")
        if self.failing is not None:
            raise self.failing
        self.status = "paused"

    async def resume(self, container: str) -> None:
        self.told.append("resume")
        self.status = "running"

    async def state(self, container: str) -> Any:
        @dataclass
        class State:
            status: str

        return State(self.status)


class Host:
    """What `commit` asks about containers."""

    def __init__(self, database: Database, images: Images) -> None:
        self.database = database
        self.images = images
        self.runtime = Runtime()
        self._entry = Entry()

    def entry(self, container: str) -> Entry:
        return self._entry

    async def find(self, text: str) -> ContainerRow:
        return await self.database.read(lambda c: rows.find(c, text))

    async def get(self, container: str) -> ContainerRow:
        return await self.database.read(lambda c: rows.get(c, container))

    async def plan(self, row: ContainerRow) -> ProcessPlan:
        image = await self.images.by_root(row.image_root)
        return process.merge(settings_of(row), await self.images.config(image))


@dataclass
class World:
    database: Database
    content: ContentStore
    snapshotter: OverlaySnapshotter
    images: Images
    host: Host
    base_layer: Digest
    mounted: Path

    async def commit(self, container: str = "web", **values: Any) -> str:
        return await commit(self.host, self.snapshotter, self.content, self.images, container, **values)

    async def count(self, table: str) -> int:
        found = await self.database.read(lambda c: c.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        assert isinstance(found, int)
        return found

    async def set_state(self, state: str) -> None:
        await self.database.write("test", lambda c: rows.change(c, ID, state=state))


def tar_of(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
async def world(tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts) -> World:
    content = await asyncio.to_thread(ContentStore, str(tmp_path / "content"), database)
    snapshotter = OverlaySnapshotter(str(tmp_path / "layers"), database, jobs, mounts, Limits())
    images = Images(content)
    tar = tar_of(kept=b"kept", gone=b"gone")
    diff_id = Digest.of(tar)
    async with content.lease() as lease:
        await content.put(tar, lease)
        chain = str(chain_ids([diff_id])[0])
        await snapshotter.prepare("extract-1", None, along=lambda c: leases.keep_snapshot(c, lease, "extract-1"))
        descriptor = await content.open(diff_id)
        applied = await snapshotter.apply("extract-1", descriptor, "none")
        os.close(descriptor)
        await snapshotter.commit("extract-1", chain, applied)
        config = encode(
            ImageConfig(
                architecture="amd64", os="linux", config=ContainerConfig(cmd=("app",), env=("A=1",)),
                rootfs=RootFS(diff_ids=(diff_id,)), history=(History(created_by="base"),),
            )
        )  # fmt: skip
        image_id = await content.put(config, lease)
        manifest = encode(
            Manifest(
                media_type=media_types.OCI_MANIFEST,
                config=Descriptor(media_type=media_types.OCI_CONFIG, digest=image_id, size=len(config)),
                layers=(Descriptor(media_type=media_types.OCI_LAYER, digest=diff_id, size=len(tar)),),
            )
        )
        root = await content.put(manifest, lease, refers_to=[image_id, diff_id])
        row = ContainerRow(
            id=ID, name="web", image="base", image_root=str(root), image_id=str(image_id), snapshot="container-web",
            config=msgspec.json.encode(settings(env=("B=2",))).decode(), state="running", created=time.time_ns(),
        )  # fmt: skip

        def along(connection: sqlite3.Connection) -> None:
            image_rows.insert(
                connection, root=root, media_type=media_types.OCI_MANIFEST, manifest=root, image_id=image_id,
                chain_id=chain, created=0, stored=0, labels={},
            )  # fmt: skip
            rows.insert(connection, row)

        await snapshotter.prepare("container-web", chain, along=along)
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    await snapshotter.mount("container-web", str(mounted))
    return World(database, content, snapshotter, images, Host(database, images), diff_id, mounted)


async def test_what_a_container_changed_becomes_an_image(world: World, tmp_path: Path) -> None:
    (world.mounted / "new").write_bytes(b"new")
    (world.mounted / "gone").unlink()
    image_id = await world.commit(name="made:1", author="me", message="why", changes=["USER app", "ENV C=3"])
    image = await world.images.find("made:1")
    assert str(image.image_id) == image_id
    assert image.root == image.manifest
    config = await world.images.config(image)
    assert config.config.env == ("A=1", "B=2", "C=3")
    assert (config.config.user, config.config.cmd) == ("app", ("app",))
    assert [(step.created_by, step.author, step.comment) for step in config.history] == [
        ("base", "", ""), ("app", "me", "why"),
    ]  # fmt: skip
    manifest = await world.images.manifest(image)
    assert [layer.digest for layer in manifest.layers] == list(config.rootfs.diff_ids)
    assert manifest.layers[0].digest == world.base_layer
    raw = b"".join([piece async for piece in world.content.read(manifest.layers[1].digest)])
    assert Digest.of(raw) == config.rootfs.diff_ids[1]
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        assert sorted(archive.getnames()) == [".wh.gone", "new"]
    await world.snapshotter.prepare("container-next", image.chain_id)
    again = tmp_path / "again"
    again.mkdir()
    await world.snapshotter.mount("container-next", str(again))
    assert sorted(os.listdir(again)) == ["kept", "new"]
    assert (again / "new").read_bytes() == b"new"


async def test_it_is_frozen_only_while_it_is_read(world: World) -> None:
    (world.mounted / "new").write_bytes(b"new")
    await world.commit()
    assert world.host.runtime.told == ["pause", "resume"]
    assert (await world.host.get(ID)).state == "running"
    assert not world.host.entry(ID).lock.locked()
    assert await world.count("leases") == 0
    assert await world.count("ingests") == 0


@pytest.mark.parametrize(
    ("state", "pause"), [("running", False), ("exited", True), ("paused", True), ("created", True)]
)
async def test_nothing_to_freeze(world: World, state: str, pause: bool) -> None:
    await world.set_state(state)
    await world.commit(pause=pause)
    assert world.host.runtime.told == []


async def test_nothing_changed_makes_no_layer(world: World) -> None:
    before = await world.count("snapshots")
    image = await world.images.find((await world.commit()).removeprefix("sha256:")[:12])
    config = await world.images.config(image)
    assert config.rootfs.diff_ids == (world.base_layer,)
    assert config.history[-1].empty_layer
    assert len((await world.images.manifest(image)).layers) == 1
    assert await world.count("snapshots") == before


async def test_the_same_again_is_one_layer(world: World) -> None:
    (world.mounted / "new").write_bytes(b"new")
    first, second = await asyncio.gather(world.commit(name="a"), world.commit(name="b"))
    a, b = await world.images.find("a"), await world.images.find("b")
    assert (str(a.image_id), str(b.image_id)) == (first, second)
    assert a.chain_id == b.chain_id


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"changes": ["RUN x"]}, InvalidArgument),
        ({"name": "UPPER"}, InvalidReference),
        ({"name": "a@sha256:" + "0" * 64}, InvalidReference),
    ],
)
async def test_nothing_is_done_for_a_malformed_request(world: World, values: Any, error: type[Error]) -> None:
    before = await world.count("blobs"), await world.count("images")
    with pytest.raises(error):
        await world.commit(**values)
    assert world.host.runtime.told == []
    assert (await world.count("blobs"), await world.count("images")) == before
    assert await world.count("leases") == 0


async def test_a_container_on_its_way_out(world: World) -> None:
    await world.set_state("removing")
    with pytest.raises(WrongState):
        await world.commit()
    with pytest.raises(NotFound):
        await world.commit("gone")


async def test_a_full_disk_thaws_the_container(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.mounted / "new").write_bytes(b"x" * (3 << 20))
    opening = BlobStore.ingest

    def small(self: BlobStore, ref: str, **values: Any) -> Ingest:
        """An ingest on a disk that is full."""
        ingest = opening(self, ref, **values)
        full = os.open("/dev/full", os.O_RDWR | os.O_CLOEXEC)
        os.dup2(full, ingest.descriptor)
        os.close(full)
        return ingest

    monkeypatch.setattr(BlobStore, "ingest", small)
    with pytest.raises(DiskFull, match="for what the container changed"):
        await world.commit(name="made")
    assert world.host.runtime.told == ["pause", "resume"]
    await nothing_left(world)


@pytest.mark.parametrize("size", [1, 3 << 20])
async def test_a_layer_that_cannot_be_unpacked(world: World, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    (world.mounted / "new").write_bytes(b"x" * size)

    async def full(self: OverlaySnapshotter, key: str, *arguments: Any, **values: Any) -> Any:
        raise DiskFull("no space left")

    monkeypatch.setattr(OverlaySnapshotter, "apply", full)
    with pytest.raises(DiskFull):
        await world.commit(name="made")
    assert world.host.runtime.told == ["pause", "resume"]
    await nothing_left(world)


@pytest.mark.parametrize("size", [1, 3 << 20])
async def test_changes_that_no_layer_can_say(world: World, size: int) -> None:
    (world.mounted / "new").write_bytes(b"x" * size)
    (world.mounted / "zz").mkdir()
    (world.mounted / "zz" / ".wh.file").touch()
    with pytest.raises(Unsupported):
        await world.commit(name="made")
    await nothing_left(world)


async def test_a_file_that_is_not_as_long_as_what_was_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.mounted / "new").write_bytes(b"x" * (3 << 20))
    diff = OverlaySnapshotter.diff

    async def cut(self: OverlaySnapshotter, key: str, out: int) -> Any:
        told = await diff(self, key, out)
        os.ftruncate(out, told.size - 1)
        return told

    monkeypatch.setattr(OverlaySnapshotter, "diff", cut)
    with pytest.raises(DigestMismatch):
        await world.commit(name="made")
    await nothing_left(world)


async def test_nothing_changed_begins_no_unpacking(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(self: OverlaySnapshotter, *arguments: Any, **values: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(OverlaySnapshotter, "prepare", never)
    await world.commit(name="made")


async def test_a_freeze_that_fails(world: World) -> None:
    world.host.runtime.failing = RuntimeFailed("no freezer")
    with pytest.raises(RuntimeFailed, match="no freezer"):
        await world.commit()
    assert not world.host.entry(ID).lock.locked()
    world.host.runtime.status = "stopped"  # it ended just now: nothing is left to freeze
    await world.commit(name="made")


async def nothing_left(world: World) -> None:
    with pytest.raises(NotFound):
        await world.images.find("made")
    await nothing_held(world)


async def nothing_held(world: World) -> None:
    assert not world.host.entry(ID).lock.locked()
    assert await world.count("leases") == 0
    assert await world.count("ingests") == 0
    keys = await world.database.read(lambda c: [row["key"] for row in c.execute("SELECT key FROM snapshots")])
    assert not [key for key in keys if key.startswith("extract-")]


async def reached(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.003, 0.006, 0.01, 0.02, 0.04, 0.08])
async def test_a_caller_who_goes_away_at_any_time(world: World, delay: float) -> None:
    (world.mounted / "new").write_bytes(b"x" * (5 << 20))
    task = asyncio.create_task(world.commit(name="made"))
    await asyncio.sleep(delay)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
        return  # it was done already
    assert world.host.runtime.status == "running"
    assert world.host.runtime.told in ([], ["pause"], ["pause", "resume"])
    if world.host.runtime.told == ["pause"]:
        pytest.fail("a container stayed frozen")
    try:
        made = await world.images.find("made")
    except NotFound:
        await nothing_left(world)
    else:  # gone in the last transaction, which goes on to its end
        assert await world.content.has(made.root)
        await nothing_held(world)


async def test_a_caller_who_goes_away_while_it_is_frozen(world: World) -> None:
    (world.mounted / "new").write_bytes(b"x" * (5 << 20))
    task = asyncio.create_task(world.commit(name="made"))
    await reached(lambda: world.host.runtime.status == "paused")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.host.runtime.told == ["pause", "resume"]
    await nothing_left(world)


async def test_labels_reach_the_row(world: World) -> None:
    await world.commit(name="made", changes=["LABEL a=b"])
    found = await world.database.read(
        lambda c: c.execute("SELECT labels FROM images JOIN names USING (root)").fetchone()[0]
    )
    assert json.loads(found) == {"a": "b"}
