"""Which media types a client takes (RFC 9110, section 12.5.1). Pure."""

from __future__ import annotations

from collections.abc import Iterable


def accepts(headers: Iterable[str], media_type: str) -> bool:
    """Whether the ``Accept`` *headers* take *media_type*. Without any, everything is taken."""
    ranges = [one.partition(";")[0].strip().lower() for header in headers for one in header.split(",")]
    ranges = [one for one in ranges if one]
    major = media_type.partition("/")[0]
    return not ranges or any(one in ("*/*", f"{major}/*", media_type.lower()) for one in ranges)
