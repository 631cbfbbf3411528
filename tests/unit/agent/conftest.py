"""Fixtures for tests of the agent's parts with the real kernel below them. They need root."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jackstay_agent.kernel.mounts import LinuxMounts, Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.metadata.database import Database
from tests.unit.agent.spawned import start_spawner


@pytest.fixture
async def jobs() -> AsyncIterator[Spawner]:
    """A real spawner with the agent's jobs."""
    spawner = start_spawner()
    yield spawner
    await spawner.close()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A real database."""
    opened = await Database.open(str(tmp_path / "jackstay.db"))
    yield opened
    await opened.close()


@pytest.fixture
async def mounts(jobs: Spawner, tmp_path: Path) -> AsyncIterator[Mounts]:
    """Real mounts; whatever a test leaves mounted below its folder is unmounted."""
    real = LinuxMounts(jobs)
    yield real
    for target in await real.mounted(str(tmp_path)):
        await real.unmount(target)
