"""``--ulimit NAME=SOFT[:HARD]``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jackstay_oci.errors import InvalidArgument

NAMES = (
    *("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue"),
    *("nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack"),
)
"""The kernel's resource limits (getrlimit(2)), without ``RLIMIT_``."""
_NUMBER = re.compile(r"-1|\d{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class UlimitSpec:
    """A limit; -1 is unlimited."""

    name: str
    soft: int
    hard: int


def parse_ulimit(text: str) -> UlimitSpec:
    """``nofile=1024:2048``; one number is both.

    Raises:
        InvalidArgument: an unknown name, not a number, or soft above hard.
    """
    name, equals, value = text.partition("=")
    if name not in NAMES or not equals:
        raise InvalidArgument(f"--ulimit {text!r}: {name!r} is not a limit", hint=f"one of {', '.join(NAMES)}")
    soft_text, colon, hard_text = value.partition(":")
    if not colon:
        hard_text = soft_text
    if not (_NUMBER.fullmatch(soft_text) and _NUMBER.fullmatch(hard_text)):
        raise InvalidArgument(f"--ulimit {text!r}: not NAME=SOFT[:HARD]", hint="write it like nofile=1024:2048")
    soft, hard = int(soft_text), int(hard_text)
    if hard != -1 and (soft == -1 or soft > hard):
        raise InvalidArgument(f"--ulimit {text!r}: the soft limit is above the hard limit")
    return UlimitSpec(name, soft, hard)
