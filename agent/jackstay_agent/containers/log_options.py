"""``--log-driver`` and ``--log-opt``: what is kept of a container's output. Pure; names, units and errors are docker's.

The drivers that keep a file write one format here, conmon's (k8s-file), whatever they are called.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from jackstay_agent.errors import InvalidArgument

FILES = ("k8s-file", "json-file", "local")
NONE = "none"
DEFAULT = FILES[0]
MOST_FILES = 1000

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) ?([kmgtp]?)(?:i?b)?", re.ASCII | re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What is kept: nothing unless `kept`, else at most `files` files of about `size` bytes (0: one, unbounded)."""

    kept: bool = True
    size: int = 0
    files: int = 1


def parse(driver: str, options: Mapping[str, str]) -> LogOptions:
    """What *driver* ("" for the default) with *options* ("max-size", "max-file") asks for. Raises `InvalidArgument`."""
    driver = driver or DEFAULT
    known = ("max-size", "max-file") if driver in FILES else ()
    if driver not in (*FILES, NONE):
        raise InvalidArgument(
            f"logger: no log driver named {driver[:40]!r} is registered", hint=f"it is one of {', '.join(FILES)}, none"
        )
    for name in options:
        if name not in known:
            raise InvalidArgument(
                f"unknown log opt {name[:40]!r} for {driver} log driver",
                hint=f"it takes {' and '.join(known)}" if known else "it takes none",
            )
    if driver == NONE:
        return LogOptions(kept=False)
    size, files = (20 * 10**6, 5) if driver == "local" else (0, 1)  # docker's defaults
    if "max-size" in options:
        size = _bytes(options["max-size"])
    if "max-file" in options:
        files = _count(options["max-file"])
    if files > 1 and not size:
        raise InvalidArgument("cannot specify max-file without max-size", hint="add --log-opt max-size=10m")
    return LogOptions(size=size, files=files)


def _bytes(text: str) -> int:
    match = _SIZE.fullmatch(text)
    size = int(Decimal(match[1]) * _UNITS[match[2].lower()]) if match else 0
    if size <= 0:
        raise InvalidArgument(f"invalid log opt max-size={text[:40]}", hint="give a size, such as 10m")
    return size


def _count(text: str) -> int:
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII) or not 1 <= int(text) <= MOST_FILES:
        raise InvalidArgument(f"invalid log opt max-file={text[:40]}", hint=f"give a number from 1 to {MOST_FILES}")
    return int(text)
