"""Which hosts have most room."""

from __future__ import annotations

from jackstay.library.room import roomiest

GIB = 1 << 30


def info(running: int = 0, cpus: int = 4, memory: int = 8 * GIB, disk: int = 100 * GIB) -> dict[str, int]:
    return {"ContainersRunning": running, "NCPU": cpus, "MemAvailable": memory, "DiskAvailable": disk}


def test_the_name_decides_between_equals() -> None:
    assert roomiest({"c": info(), "a": info(), "b": info()}, 2) == ["a", "b"]
    assert roomiest({"b": info(memory=8 * GIB), "a": info(memory=8 * GIB + 4096)}, 1) == ["a"]  # next to the same


def test_what_counts_in_turn() -> None:
    hosts = {"busy": info(running=3), "small": info(cpus=2), "idle": info(), "large": info(cpus=64, running=7)}
    assert roomiest(hosts, 4) == ["large", "idle", "small", "busy"]
    assert roomiest({"a": info(memory=2 * GIB), "b": info()}, 1) == ["b"]
    assert roomiest({"a": info(disk=10 * GIB), "b": info()}, 1) == ["b"]


def test_a_full_host_comes_last() -> None:
    hosts = {"a": info(cpus=64, memory=100 << 20), "b": info(running=9), "c": info(cpus=64, disk=GIB // 2)}
    assert roomiest(hosts, 1) == ["b"]
    assert roomiest({"silent": {}, "b": info()}, 2) == ["b", "silent"]
