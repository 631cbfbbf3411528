"""Many clients load one image at once: it comes once, is unpacked once, and everybody succeeds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jackstay.client import connect
from jackstay.copying.archive_source import ArchiveSource
from jackstay.copying.copy import copy_to_agent
from jackstay.copying.serve import Fetched
from jackstay.inventory.host import local_host
from tests.lab.archives import write_archive
from tests.lab.images import synthetic
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop

pytestmark = pytest.mark.lab

CLIENTS = 10
SIZE = 20_000_000


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An image of one layer, large enough for all clients to come while it does."""
    return write_archive(tmp_path / "shared.tar", [synthetic(tmp_path, SIZE, name="shared:1")])


@pytest.fixture
async def source(archive: Path, tmp_path: Path) -> AsyncIterator[ArchiveSource]:
    opened = await ArchiveSource.open(str(archive), "shared.tar", {"HOME": str(tmp_path)})
    yield opened
    await opened.close()


async def test_ten_clients_store_it_once(lab: Lab, laptop: Laptop, source: ArchiveSource) -> None:
    host = lab.hosts["web1"]
    images = await source.images()
    whole = sum(blob.size for blob in images[0].blobs)

    async def load() -> Fetched:
        async with await connect(local_host(str(host.agent.socket))) as agent:
            return await copy_to_agent(agent, source, images)

    fetched = await asyncio.gather(*(load() for _ in range(CLIENTS)))
    assert sum(one.done.bytes_sent for one in fetched) == whole
    assert sum(one.done.bytes_spared for one in fetched) == (CLIENTS - 1) * whole
    assert [one.done.images[0].changed for one in fetched].count(True) == 1
    assert len({one.done.images[0].image_id for one in fetched}) == 1

    def kept() -> tuple[int, int]:
        state = host.path("/var/lib/jackstay")
        return len(os.listdir(state / "content/blobs/sha256")), len(os.listdir(state / "layers/snapshots"))

    assert await asyncio.to_thread(kept) == (3, 1)
    ran = await asyncio.to_thread(laptop.ok, "-H", "web1", "images", "-q")
    assert len(ran.lines) == 1
