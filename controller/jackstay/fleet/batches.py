"""``--serial``: how many hosts begin together, batch after batch (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from jackstay.errors import UsageError

T = TypeVar("T")


def batch_sizes(serial: str | None, total: int) -> list[int]:
    """The sizes of the batches that ``total`` hosts make; they add up to ``total``, and none is 0.

    Each part of ``"1,10%,50%"`` is one batch; the last part repeats until every host has its place. A share is of all
    hosts, rounded down, at least one. Raises :class:`~jackstay.errors.UsageError` for anything else.
    """
    steps = [_hosts(part, total) for part in serial.split(",")] if serial is not None else [max(total, 1)]
    sizes: list[int] = []
    while total > 0:
        sizes.append(min(steps[min(len(sizes), len(steps) - 1)], total))
        total -= sizes[-1]
    return sizes


def batches(serial: str | None, hosts: Sequence[T]) -> list[list[T]]:
    """The hosts in batches, in their order."""
    result, start = [], 0
    for size in batch_sizes(serial, len(hosts)):
        result.append(list(hosts[start : start + size]))
        start += size
    return result


def _hosts(part: str, total: int) -> int:
    found = re.fullmatch(r"\s*(\d{1,9})(%?)\s*", part, re.ASCII)
    number = int(found[1]) if found else 0
    if found is None or number == 0 or (found[2] and number > 100):
        raise UsageError(f"'{part.strip()}' is not a batch size", hint="as in --serial 1,10%,50%")
    return max(1, total * number // 100) if found[2] else number
