"""Unpacking for tests of layers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.config import Limits
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.layers.apply import bounds_of
from tests.unit.agent.layers.layer_tars import blob
from tests.unit.agent.spawned import start_spawner


@pytest.fixture
async def jobs() -> AsyncIterator[Spawner]:
    """A real spawner, which knows `weakened`, too."""
    spawner = start_spawner("tests.unit.agent.layers.weakened")
    yield spawner
    await spawner.close()


@pytest.fixture
def unpack(jobs: Spawner, tmp_path: Path) -> Callable[..., Any]:
    """Unpack a tar into the folder ``fs`` (made if missing) with defences off as named; the job's result."""

    async def run(
        data: bytes, *, off: tuple[str, ...] = (), compression: str = "none", limits: Limits | None = None,
        lower: tuple[str, ...] = (), target: Path | None = None, whole: bool = False,
    ) -> list[Any]:  # fmt: skip
        folder = target or tmp_path / "fs"
        folder.mkdir(exist_ok=True)
        (tmp_path / "view").mkdir(exist_ok=True)
        opened, packed = os.open(folder, os.O_RDONLY | os.O_DIRECTORY), blob(data)
        argument = {
            "compression": compression, "limits": bounds_of(limits or Limits()), "off": list(off),
            "folder": str(tmp_path), "target": str(tmp_path / "view"), "lower": list(lower),
            "whole": whole,
        }  # fmt: skip
        try:
            return await jobs.run("tests.unit.agent.layers.weakened:apply_weakened", argument, [opened, packed])
        finally:
            os.close(opened)
            os.close(packed)

    return run
