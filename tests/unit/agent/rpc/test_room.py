"""What a host tells of its room."""

from __future__ import annotations

from pathlib import Path

from jackstay_agent.rpc import room


def test_available_memory() -> None:
    assert room.available("MemTotal:  100 kB\nMemAvailable:    7 kB\nBuffers: 3 kB\n") == 7 << 10
    assert room.available("MemTotal:  100 kB\n") == 0


def test_of_this_machine(tmp_path: Path) -> None:
    measured = room.measure(str(tmp_path))
    assert measured["MemAvailable"] > 0
    assert measured["DiskAvailable"] > 0
