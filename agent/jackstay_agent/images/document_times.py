"""Times in image configs: RFC 3339 text, as nanoseconds since 1970 and back."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)


LATEST = (1 << 63) - 1
"""As far as the database counts: in the year 2262."""


def parse(text: str) -> int:
    """Nanoseconds since 1970, at most `LATEST`; 0 for text that is no time, since an image without a good one is still
    an image."""
    match = _TIME.fullmatch(text)
    if match is None:
        return 0
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, zone_hours, zone_minutes = match.groups()[6:]
    try:
        seconds = int(datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC).timestamp())
    except ValueError:
        return 0
    if sign:
        offset = int(zone_hours) * 3600 + int(zone_minutes) * 60
        seconds -= offset if sign == "+" else -offset
    return min(LATEST, max(0, seconds * 10**9 + int((fraction or "").ljust(9, "0"))))


def render(nanoseconds: int) -> str:
    """RFC 3339 in UTC with nanoseconds, as Docker writes it; its zero time for 0."""
    if nanoseconds <= 0:
        return "0001-01-01T00:00:00Z"
    seconds, fraction = divmod(nanoseconds, 10**9)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{fraction:09d}".rstrip("0")
    return f"{whole}.{digits}Z" if digits else f"{whole}Z"
