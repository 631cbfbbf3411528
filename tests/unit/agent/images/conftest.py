"""A host for images. Needs root: its layers are real overlays, unpacked by real jobs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jackstay_agent.config import Limits
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.metadata.database import Database
from tests.unit.agent.images.image_host import ImageHost


@pytest.fixture
async def host(tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts) -> ImageHost:
    return await asyncio.to_thread(ImageHost, tmp_path, database, jobs, mounts, Limits())
