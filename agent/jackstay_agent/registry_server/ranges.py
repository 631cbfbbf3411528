"""Ranges of bytes: those that a blob is asked for, and those that an upload comes in. Pure."""

from __future__ import annotations

import re

from jackstay_agent.registry_server.refusals import Refusal

_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})", re.ASCII)
_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?([0-9]{1,19})-([0-9]{1,19})(?:/(?:[0-9]{1,19}|\*))?", re.ASCII)


def asked(header: str | None, size: int) -> tuple[int, int] | None:
    """Where the bytes that a ``Range`` asks for of *size* begin, and where they end (not included).

    None for the whole: without the header, and for forms of it that need not be understood (RFC 9110, section 14.2),
    such as several ranges. Raises `Refusal` when none of the bytes are there.
    """
    found = _RANGE.fullmatch((header or "").strip())
    if found is None or found[0] == "bytes=-":
        return None
    if not found[1]:  # the last so many
        begin, end = max(0, size - int(found[2])), size
    else:
        begin, end = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
        if found[2] and int(found[2]) < begin:
            return None
    if begin >= end:
        raise Refusal(
            416,
            "SIZE_INVALID",
            f"the range {header!r} lies outside of the blob's {size} bytes",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return begin, end


def brought(header: str | None) -> tuple[int, int] | None:
    """Where the bytes of a chunk begin, and where they end (not included), as its ``Content-Range`` has it.

    None without one: the chunk goes on where the upload stands. Raises `Refusal` for a malformed one.
    """
    if header is None:
        return None
    found = _CONTENT_RANGE.fullmatch(header.strip())
    if found is None or int(found[2]) < int(found[1]):
        raise Refusal(400, "BLOB_UPLOAD_INVALID", f"the Content-Range {header[:100]!r} is malformed")
    return int(found[1]), int(found[2]) + 1


def received(offset: int) -> str:
    """The ``Range`` of an upload that has *offset* bytes. There is no way to write none (distribution has it so)."""
    return f"0-{max(0, offset - 1)}"
