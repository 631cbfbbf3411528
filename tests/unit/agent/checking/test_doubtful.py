"""The power goes before layers are on the disk: a real filesystem that loses what it had not written. Needs root."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from jackstay_agent.checking import doubtful
from jackstay_agent.checking.parts import Parts
from jackstay_agent.config import Limits
from jackstay_agent.errors import NotFound
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers import folder_snapshotter, write_out
from jackstay_agent.metadata.database import Database
from jackstay_oci.digest import Digest
from jackstay_oci.identity import chain_ids
from tests.unit.agent.images.image_host import ImageHost, Made, tar

NAME = "docker.io/library/web:1"
FILES = {f"folder/{number}": os.urandom(20_000) for number in range(50)}
LAYERS = [tar(FILES), tar({"folder/top": b"top" * 1000})]
CHAIN = [str(chain_id) for chain_id in chain_ids([Digest.of(layer) for layer in LAYERS])]

_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
_WITHOUT_THE_JOURNAL = (2).to_bytes(4, "little")


class Disk:
    """An ext4 in a file, mounted at *at* while the power is on."""

    def __init__(self, at: Path) -> None:
        self.at = at
        self._file = at.with_name("disk")
        at.mkdir()
        with self._file.open("xb") as file:
            file.truncate(320 << 20)
        subprocess.run(["mkfs.ext4", "-q", self._file], check=True)

    def on(self) -> None:
        subprocess.run(["mount", "-o", "loop", self._file, self.at], check=True)

    def cut(self) -> None:
        """What is not on the disk now never comes there."""
        folder = os.open(self.at, os.O_RDONLY)
        fcntl.ioctl(folder, _SHUTDOWN, _WITHOUT_THE_JOURNAL)
        os.close(folder)
        self.off()

    def off(self) -> None:
        subprocess.run(["umount", self.at], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "state")
    made.on()
    yield made
    if made.at.is_mount():  # the fixture ``mounts`` may have unmounted it
        made.off()


@contextlib.asynccontextmanager
async def running(disk: Disk, jobs: Spawner, mounts: Mounts) -> AsyncIterator[ImageHost]:
    """The agent's parts on the disk."""
    database = await Database.open(str(disk.at / "jackstay.db"))
    host = await asyncio.to_thread(ImageHost, disk.at, database, jobs, mounts, Limits())
    try:
        yield host
    finally:
        await host.layers.close()
        await database.close()


@pytest.fixture
def boots(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The last item is the boot that this is; nothing is written out by itself."""
    boots = ["first"]
    for module in (folder_snapshotter, write_out):
        monkeypatch.setattr(module, "boot_id", lambda: boots[-1])
    monkeypatch.setattr(write_out, "AFTER", 3600.0)
    return boots


def parts(host: ImageHost) -> Parts:
    nothing = cast(Any, None)
    return Parts(host.database, host.content, host.layers, nothing, nothing, nothing)


async def content(host: ImageHost, key: str) -> dict[str, bytes]:
    """What the files of a layer have in them."""
    folder = disk_folder(host, (await host.layers.stat(key)).id)
    found = await asyncio.to_thread(lambda: [path for path in folder.rglob("*") if path.is_file()])
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def disk_folder(host: ImageHost, number: int) -> Path:
    return host.root / "layers" / "snapshots" / str(number) / "fs"


async def test_what_was_not_written_out_is_unpacked_again(
    disk: Disk, jobs: Spawner, mounts: Mounts, boots: list[str]
) -> None:
    async with running(disk, jobs, mounts) as host:
        await host.load(Made(LAYERS), NAME)
        assert await host.layers.doubtful() == []
    await asyncio.to_thread(disk.cut)
    await asyncio.to_thread(disk.on)
    boots.append("second")

    async with running(disk, jobs, mounts) as host:
        with contextlib.suppress(OSError):  # the attack: this is what the layer would be
            assert await content(host, CHAIN[0]) != FILES
        assert await host.layers.doubtful() == CHAIN
        await doubtful.settle(parts(host))
        assert await content(host, CHAIN[0]) == FILES
        assert await content(host, CHAIN[1]) == {"folder/top": b"top" * 1000}
        assert await host.layers.doubtful() == []
        await host.layers.write_out()
    await asyncio.to_thread(disk.cut)
    await asyncio.to_thread(disk.on)
    boots.append("third")

    async with running(disk, jobs, mounts) as host:
        assert await host.layers.doubtful() == []
        assert await content(host, CHAIN[0]) == FILES


async def test_what_was_written_out_is_trusted(disk: Disk, jobs: Spawner, mounts: Mounts, boots: list[str]) -> None:
    async with running(disk, jobs, mounts) as host:
        await host.load(Made(LAYERS), NAME)
        await host.layers.write_out()
    await asyncio.to_thread(disk.cut)
    await asyncio.to_thread(disk.on)
    boots.append("second")
    async with running(disk, jobs, mounts) as host:
        assert await host.layers.doubtful() == []
        assert await content(host, CHAIN[0]) == FILES


async def test_what_is_right_all_the_same_stays(disk: Disk, jobs: Spawner, mounts: Mounts, boots: list[str]) -> None:
    async with running(disk, jobs, mounts) as host:
        await host.load(Made(LAYERS), NAME)
        before = (await host.layers.stat(CHAIN[0])).id
        boots.append("second")
        await doubtful.settle(parts(host))
        assert await host.layers.doubtful() == []
        assert (await host.layers.stat(CHAIN[0])).id == before


async def test_a_layer_of_no_image_goes(disk: Disk, jobs: Spawner, mounts: Mounts, boots: list[str]) -> None:
    async with running(disk, jobs, mounts) as host:
        await host.load(Made(LAYERS), NAME)
        for key, parent in (("sha256:a", CHAIN[1]), ("sha256:b", "sha256:a")):
            await host.layers.prepare("extract-1", parent)
            memory = os.memfd_create("layer", os.MFD_CLOEXEC)
            os.write(memory, tar({"x": b"x"}))
            await host.layers.commit("extract-1", key, await host.layers.apply("extract-1", memory, "none"))
            os.close(memory)
        boots.append("second")
        await doubtful.settle(parts(host))
        for key in ("sha256:a", "sha256:b"):
            with pytest.raises(NotFound):
                await host.layers.stat(key)
        assert (await host.layers.stat(CHAIN[1])).kind == "committed"


async def test_a_layer_whose_blob_is_damaged_stays_doubtful(
    disk: Disk, jobs: Spawner, mounts: Mounts, boots: list[str]
) -> None:
    async with running(disk, jobs, mounts) as host:
        await host.load(Made(LAYERS), NAME)
        blob = host.content.blobs.path(Digest.of(LAYERS[0]))
        await asyncio.to_thread(blob.chmod, 0o600)
        await asyncio.to_thread(blob.write_bytes, LAYERS[0][:-1] + b"x")
        boots.append("second")
        with capture_logs() as logs:
            await doubtful.settle(parts(host))
        assert await host.layers.doubtful() == CHAIN[:1]
        (told,) = [line for line in logs if line["log_level"] == "error"]
        assert told["layer"] == CHAIN[0]


async def test_a_disk_that_cannot_be_written_leaves_a_doubt(
    disk: Disk, jobs: Spawner, mounts: Mounts, boots: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    async with running(disk, jobs, mounts) as host:
        await host.load(Made(LAYERS), NAME)
        with monkeypatch.context() as patched, capture_logs() as logs:
            patched.setattr(write_out.syscalls, "syncfs", broken)
            await host.layers.write_out()
        assert [line["log_level"] for line in logs] == ["error"]
        assert await host.layers.doubtful() == CHAIN
