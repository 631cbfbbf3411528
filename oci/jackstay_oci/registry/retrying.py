"""When a request is sent again: after which answers, and after how long. Pure."""

from __future__ import annotations

import email.utils
from dataclasses import dataclass, replace
from datetime import UTC, datetime

RETRIED = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that may be others the next time."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a registry is waited for, in seconds."""

    attempts: int = 5
    first_pause: float = 0.25
    longest_pause: float = 8.0
    longest_wait: float = 60.0  # that a registry may ask for by Retry-After
    connect: float = 15.0
    idle: float = 60.0  # without a byte in either direction
    document: float = 180.0  # for one document, however slowly it comes

    def for_mirror(self) -> Patience:
        """Less of it for what somebody else can give as well."""
        return replace(self, attempts=min(self.attempts, 2), connect=min(self.connect, 5.0))


def pause(patience: Patience, attempt: int, asked: float | None, chance: float) -> float | None:
    """Seconds until the next try; ``None``: no further one.

    Args:
        attempt: tries so far.
        asked: seconds that the server asks to wait.
        chance: a random number below 1. Many hosts that were cut off at once do not come back at once.
    """
    if attempt >= patience.attempts:
        return None
    if asked is not None:
        return asked + chance * patience.first_pause if asked <= patience.longest_wait else None
    whole = min(patience.longest_pause, patience.first_pause * 2.0 ** min(attempt - 1, 32))
    return whole * (0.5 + chance / 2)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a ``Retry-After`` header asks to wait, given as seconds or as a date; ``None``: it is no such."""
    if not value:
        return None
    value = value.strip()[:100]
    if value.isascii() and value.isdigit():
        return float(value)
    date = http_date(value)
    return None if date is None else max(0.0, (date - now).total_seconds())


def http_date(value: str | None) -> datetime | None:
    """The moment that a header of HTTP names; ``None``: it names none."""
    try:
        date = email.utils.parsedate_to_datetime((value or "")[:100])
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
