"""Points in time and durations as docker's ``--since`` and ``--until`` take them. Pure: ``now`` is an argument."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

from jackstay_oci.errors import InvalidArgument

SECOND_NS = 1_000_000_000
_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
    "d": 86400 * SECOND_NS,
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d)", re.ASCII)
_UNIX = re.compile(r"\d+(?:\.\d{1,9})?", re.ASCII)
_FRACTION = re.compile(r"(?<=:\d\d)\.(\d{1,9})\d*", re.ASCII)


def parse_duration_ns(text: str) -> int | None:
    """Go's durations, and days: ``1h30m`` in nanoseconds, or ``None`` when it is not one."""
    position, total = 0, Decimal(0)
    while position < len(text):
        match = _PART.match(text, position)
        if match is None:
            return None
        total += Decimal(match[1]) * _UNITS_NS[match[2]]
        position = match.end()
    return int(total) if text else None


def parse_time_ns(text: str, now_ns: int, what: str) -> int:
    """A duration before now (``10m``), Unix seconds (``1700000000.5``) or a date (``2024-01-31T12:00:00Z``; without a
    zone, local time), in nanoseconds since 1970.

    Raises:
        InvalidArgument: it is none of these; ``what`` names the flag.
    """
    duration = parse_duration_ns(text)
    if duration is not None:
        return max(now_ns - duration, 1)
    if _UNIX.fullmatch(text):
        return max(int(Decimal(text) * SECOND_NS), 1)
    fraction = _FRACTION.search(text)  # Python's own times have no nanoseconds
    try:
        moment = datetime.fromisoformat(_FRACTION.sub("", text))
    except ValueError:
        raise InvalidArgument(
            f"{what}: {text!r} is not a time", hint="write it like 10m, 1700000000 or 2024-01-31T12:00:00Z"
        ) from None
    return max(int(moment.timestamp()) * SECOND_NS + (int(fraction[1].ljust(9, "0")) if fraction else 0), 1)
