"""Times in image configs: RFC 3339 text, as nanoseconds since 1970 and back; and moments as a user writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

from jackstay_agent.errors import InvalidArgument

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = re.compile(r"(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h))+", re.ASCII)
_UNIX = re.compile(r"\d{1,10}(?:\.\d{1,9})?", re.ASCII)
_ZEROS = re.compile(r"\.(\d*?)0*(?=[Zz+-])", re.ASCII)
_FRACTION = re.compile(r"(\.\d{6})\d+", re.ASCII)

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


def canonical(text: str) -> str:
    """*text* as Go writes the time that it read: no zeros at the end of a fraction; its zero time for no time."""
    if _TIME.fullmatch(text) is None:
        return render(0)
    return _ZEROS.sub(lambda fraction: f".{fraction[1]}" if fraction[1] else "", text)


def moment(text: str, now: int, what: str) -> int:
    """A duration before *now* (``10m``), Unix seconds, or a date (without a zone in this host's), as nanoseconds since
    1970. Raises `InvalidArgument`, in which *what* names the option.
    """
    if _DURATION.fullmatch(text):
        parts = re.findall(r"([\d.]+)([^\d.]+)", text)
        return now - int(sum(Decimal(count) * _UNITS[unit] for count, unit in parts))
    if _UNIX.fullmatch(text):
        return int(Decimal(text) * 10**9)
    try:
        date = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
        return int(date.timestamp()) * 10**9 + date.microsecond * 1000
    except (ValueError, OverflowError, OSError):
        raise InvalidArgument(
            f"{what}: {text[:60]!r} is not a time", hint="write it like 24h, 1700000000 or 2024-01-31T12:00:00Z"
        ) from None


def render(nanoseconds: int) -> str:
    """RFC 3339 in UTC with nanoseconds, as Docker writes it; its zero time for 0."""
    if nanoseconds <= 0:
        return "0001-01-01T00:00:00Z"
    seconds, fraction = divmod(nanoseconds, 10**9)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{fraction:09d}".rstrip("0")
    return f"{whole}.{digits}Z" if digits else f"{whole}Z"
