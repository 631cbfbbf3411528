"""Sizes, ages and identifiers as docker prints them (github.com/docker/go-units). Pure."""

from __future__ import annotations

from datetime import UTC, datetime

_SIZES = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def human_size(size: int, digits: int = 3) -> str:
    """``4.86MB``: three significant digits, powers of 1000. Docker has four where it tells of space in use or freed."""
    value = float(size)
    for unit in _SIZES:
        text = f"{value:.{digits}g}"
        if "e" not in text and float(text) < 1000:
            return text + unit
        value /= 1000
    return f"{size / 1000**6:.0f}EB"


def binary_size(size: int) -> str:
    """``4.637MiB``: four significant digits, powers of 1024, as docker tells of memory."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            return f"{value:.4g}{unit}"
        value /= 1024
    return f"{value:.4g}PiB"


def human_duration(seconds: float) -> str:
    """``About a minute``, ``3 hours``, ``2 weeks``."""
    whole = max(int(seconds), 0)
    hours = int(seconds / 3600 + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{whole // 3600 // 24 // 365} years"


def ago(then: int, now: float) -> str:
    """``2 hours ago``; ``N/A`` for a time that is not known (0 or before)."""
    return "N/A" if then <= 0 else f"{human_duration(now - then)} ago"


def timestamp(then: int) -> str:
    """Go's default form in UTC: ``2024-01-31 12:00:00 +0000 UTC``."""
    return "N/A" if then <= 0 else datetime.fromtimestamp(then, UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")


def rfc3339(then: int) -> str:
    """``2024-01-31T12:00:00Z``."""
    return datetime.fromtimestamp(max(then, 0), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def short_id(identifier: str) -> str:
    """The first twelve digits, without ``sha256:``."""
    return identifier.removeprefix("sha256:")[:12]


def ellipsis(text: str, width: int) -> str:
    """``text`` when it fits, else its beginning and one ``…``."""
    return text if len(text) <= width else text[: width - 1] + "…"


def printable(text: str) -> str:
    """``text`` with control characters made visible, so that nothing from a host can drive the terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
