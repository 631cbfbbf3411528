"""A load, however it unpacks, makes the trees that the check compares with. Needs root."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
from pathlib import Path

import pytest

from jackstay_agent.config import Limits
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.metadata.database import Database
from jackstay_oci.digest import Digest
from jackstay_oci.identity import chain_ids
from tests.unit.agent.images.image_host import ImageHost, Made


@pytest.fixture
async def host(tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts) -> ImageHost:
    return await asyncio.to_thread(ImageHost, tmp_path, database, jobs, mounts, Limits())


def layer(*entries: tuple[str, bytes, int]) -> bytes:
    """A tar of names, types and modes; a file's content is its name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, mode in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.uid, entry.mtime = kind, mode, 7, 1_600_000_000
            entry.size = len(name) if kind == tarfile.REGTYPE else 0
            archive.addfile(entry, io.BytesIO(name.encode()))
    return out.getvalue()


FILE, FOLDER = tarfile.REGTYPE, tarfile.DIRTYPE
STACKS = {
    "a root of its own, and layers that say nothing of it": [
        layer((".", FOLDER, 0o711), ("etc", FOLDER, 0o700), ("etc/a", FILE, 0o600)),
        layer(("usr", FOLDER, 0o755), ("usr/b", FILE, 0o4755)),
        layer(("c", FILE, 0o644)),
    ],
    "folders that only the layer below describes": [
        layer(("deep", FOLDER, 0o750), ("deep/er", FOLDER, 0o1777), ("deep/er/a", FILE, 0o600)),
        layer(("deep/er/b", FILE, 0o644)),
    ],
    "everything hidden": [
        layer(("a", FILE, 0o600), ("b", FOLDER, 0o700), ("b/c", FILE, 0o600)),
        layer((".wh..wh..opq", FILE, 0o600), ("d", FILE, 0o600)),
    ],
    "a folder hidden, and a file replaced by a folder": [
        layer(("a", FILE, 0o600), ("b", FOLDER, 0o700), ("b/c", FILE, 0o600)),
        layer(("b", FOLDER, 0o700), ("b/.wh..wh..opq", FILE, 0o600), ("a", FOLDER, 0o755), ("a/x", FILE, 0o600)),
        layer((".wh.b", FILE, 0o600)),
    ],
}


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("what", STACKS)
async def test_what_a_load_unpacked_is_what_a_comparison_unpacks(host: ImageHost, what: str, compress: bool) -> None:
    layers = STACKS[what]
    made = Made(layers, compress)
    await host.load(made, "docker.io/library/web:1")
    chain = chain_ids([Digest.of(data) for data in layers])
    for number, data in enumerate(layers):
        key = f"extract-{number}"
        await host.layers.prepare(key, str(chain[number - 1]) if number else None)
        memory = os.memfd_create("layer", os.MFD_CLOEXEC)
        try:
            os.write(memory, data)
            await host.layers.apply(key, memory, "none")
        finally:
            os.close(memory)
        assert await host.layers.compare(str(chain[number]), key) == []
        await host.layers.remove(key)
