"""What a container uses, read out of the texts of its cgroup's files and of ``/proc/PID/net/dev``. Pure.

Both versions of cgroups say the same in other words. What is counted how is docker's choice (docker/cli
``cli/command/container/stats_helpers.go``): memory without the cache of files that nobody has touched for long, bytes
of block devices as the throttle counts them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Read = Callable[[str, str], str]
"""Gives the text of a controller's file, "" when there is none."""

_V1_BYTES = (
    "blkio.throttle.io_service_bytes_recursive",
    "blkio.io_service_bytes_recursive",
    "blkio.bfq.io_service_bytes_recursive",
    "blkio.throttle.io_service_bytes",
)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Counters since the start, and what is in use now; bytes, but for `cpu_ns` and `pids`."""

    cpu_ns: int = 0
    memory: int = 0
    memory_limit: int = 0  # 0: none
    block_read: int = 0
    block_written: int = 0
    pids: int = 0


def of_v1(read: Read) -> Accounts:
    """The accounts in the trees of cgroups v1."""
    used = _number(read("memory", "memory.usage_in_bytes"))
    limit = _number(read("memory", "memory.limit_in_bytes"))
    block_read = block_written = 0
    for name in _V1_BYTES:
        if (counts := _operations(read("blkio", name))) is not None:
            block_read, block_written = counts
            break
    return Accounts(
        cpu_ns=_number(read("cpuacct", "cpuacct.usage")),
        memory=_without(used, _table(read("memory", "memory.stat")).get("total_inactive_file", 0)),
        memory_limit=0 if limit >= 1 << 62 else limit,  # no limit is the highest number of pages
        block_read=block_read,
        block_written=block_written,
        pids=_number(read("pids", "pids.current")),
    )


def of_v2(read: Read) -> Accounts:
    """The accounts in the one tree of cgroups v2."""
    used = _number(read("memory", "memory.current"))
    devices = [_pairs(line) for line in read("io", "io.stat").splitlines()]
    return Accounts(
        cpu_ns=_table(read("cpu", "cpu.stat")).get("usage_usec", 0) * 1000,
        memory=_without(used, _table(read("memory", "memory.stat")).get("inactive_file", 0)),
        memory_limit=_number(read("memory", "memory.max")),  # "max" is no number
        block_read=sum(device.get("rbytes", 0) for device in devices),
        block_written=sum(device.get("wbytes", 0) for device in devices),
        pids=_number(read("pids", "pids.current")),
    )


def network(net_dev: str) -> tuple[int, int]:
    """The bytes received and sent over all interfaces but the loopback, from the text of a ``/proc/PID/net/dev``."""
    received = sent = 0
    for line in net_dev.splitlines():
        name, colon, counts = line.partition(":")
        fields = counts.split()
        if colon and name.strip() != "lo" and len(fields) >= 9:
            received += _number(fields[0])
            sent += _number(fields[8])
    return received, sent


def percent(cpu_ns: int, elapsed_ns: int) -> float:
    """How much of one CPU *cpu_ns* are within *elapsed_ns*: 100 is all of one, 200 of two. Docker's is the same."""
    return max(cpu_ns, 0) / elapsed_ns * 100 if elapsed_ns > 0 else 0.0


def _without(used: int, cache: int) -> int:
    return used - cache if cache < used else used


def _operations(text: str) -> tuple[int, int] | None:
    """Bytes read and written in the lines ``8:0 Read 512`` of *text*; None when it has none."""
    rows = [line.split() for line in text.splitlines()]
    sums = {
        wanted: sum(_number(row[2]) for row in rows if len(row) == 3 and row[1] == wanted)
        for wanted in ("Read", "Write")
    }
    return (sums["Read"], sums["Write"]) if any(len(row) == 3 for row in rows) else None


def _table(text: str) -> dict[str, int]:
    return {row[0]: _number(row[1]) for line in text.splitlines() if len(row := line.split()) == 2}


def _pairs(line: str) -> dict[str, int]:
    return {key: _number(value) for key, equals, value in (word.partition("=") for word in line.split()) if equals}


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() else 0
