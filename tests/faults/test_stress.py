"""Collection beside everything else, on a real agent. `stress` tells what must hold; a longer run of it is
``python -m tests.faults.stress --seconds 600``, or this test with ``JACKSTAY_STRESS_SECONDS=600``.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.stress import scene_in, stress, ten_loads_and_a_removal
from tests.lab.lab import Lab

SECONDS = float(os.environ.get("JACKSTAY_STRESS_SECONDS", "10"))
SEED = int(os.environ.get("JACKSTAY_STRESS_SEED", random.randrange(1 << 30)))

pytestmark = [pytest.mark.lab, pytest.mark.timeout(SECONDS * 2 + 100)]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(2) as hosts:
        yield hosts
        assert "level=error" not in hosts.hosts["web1"].log_text()


async def test_everything_at_once_breaks_nothing_and_leaves_nothing(lab: Lab, tmp_path: Path) -> None:
    async with scene_in(lab, tmp_path) as scene:
        await stress(scene, SECONDS, SEED)
    assert not scene.wrong, f"JACKSTAY_STRESS_SEED={SEED}: {scene.wrong}"
    assert all(scene.done[act] for act in ("load", "save", "remove", "run", "copy")), scene.done


async def test_ten_clients_load_what_another_removes(lab: Lab, tmp_path: Path) -> None:
    async with scene_in(lab, tmp_path) as scene:
        await ten_loads_and_a_removal(scene, SECONDS / 2)
    assert not scene.wrong
    assert scene.done["load"] > 10
    assert scene.done["save"]
    assert scene.done["remove"]
