"""How a command goes over many hosts; values only."""

from __future__ import annotations

from typing import NamedTuple


class FleetOptions(NamedTuple):
    """The fleet's own options of a command."""

    fanout: int = 64  # hosts at work at the same time
    serial: str | None = None  # batches: "1,10%,50%"; None: one batch
    max_fail: str | None = None  # "3" or "10%": start no more hosts once so many have failed
    ignore_unreachable: bool = False  # unreachable hosts do not count as failures
    timeout: float | None = None  # seconds for the work on one host, connecting not included; None or 0: no limit
    connect_timeout: float = 15.0  # seconds
    accept_new: bool = False  # accept the keys of hosts never seen before
