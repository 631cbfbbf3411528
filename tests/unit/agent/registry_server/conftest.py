"""An agent's registry on its socket, over real layers (so it needs root), and a client of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jackstay_agent.config import Limits
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.metadata.database import Database
from tests.unit.agent.images.image_host import ImageHost
from tests.unit.agent.registry_server.registry_host import RegistryHost


@pytest.fixture
async def registry(tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts) -> AsyncIterator[RegistryHost]:
    limits = Limits(layer_bytes=8 << 20)
    host = await asyncio.to_thread(ImageHost, tmp_path, database, jobs, mounts, limits)
    async with RegistryHost(host, limits, tmp_path / "registry.sock") as registry:
        yield registry
