"""``--security-opt``: the profile that a seccomp option names is a file on this machine, and sent as its content."""

from __future__ import annotations

import json

from jackstay_oci.errors import InvalidArgument, NotFound

MAX_PROFILE = 1 << 20
"""Bytes of a profile at most."""

_BUILT_IN = ("unconfined", "builtin")


def parse_security_option(text: str) -> str:
    """The option for the agent; only ``seccomp=FILE`` is another one then. Docker's older ``seccomp:FILE`` is known.

    Raises:
        NotFound: the file cannot be opened.
        InvalidArgument: it is too large, or no JSON.
    """
    key, mark, value = text[:7], text[7:8], text[8:]
    if key != "seccomp" or mark not in ("=", ":") or not value or value in _BUILT_IN:
        return text
    try:
        with open(value, "rb") as file:
            data = file.read(MAX_PROFILE + 1)
    except OSError as error:
        raise NotFound(f"opening seccomp profile ({value}) failed: {error.strerror}") from error
    if len(data) > MAX_PROFILE:
        raise InvalidArgument(f"the seccomp profile {value} is larger than {MAX_PROFILE} bytes")
    try:
        compact = json.dumps(json.loads(data), separators=(",", ":"))
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"compacting json for seccomp profile ({value}) failed: {error}") from error
    return f"seccomp={compact}"
