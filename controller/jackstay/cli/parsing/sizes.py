"""Sizes and processor shares as docker's flags write them. Pure."""

from __future__ import annotations

import re
from decimal import Decimal

from jackstay_oci.errors import InvalidArgument

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s?([kmgtp]?)(?:i?b)?", re.IGNORECASE | re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_MAX = 2**63 - 1
NANO = 1_000_000_000


def parse_bytes(text: str, what: str) -> int:
    """``512m``, ``1.5g``, ``1024``: bytes, units are powers of 1024 (go-units' ``RAMInBytes``).

    Raises:
        InvalidArgument: it is not a size; ``what`` names the flag.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidArgument(f"{what}: invalid size {text!r}", hint="write it like 512m, 1.5g or 1073741824")
    value = int(Decimal(match[1]) * 1024 ** _POWERS[match[2].lower()])
    if value > _MAX:
        raise InvalidArgument(f"{what}: size {text!r} is too large")
    return value


def parse_memory_swap(text: str) -> int:
    """As :func:`parse_bytes`; ``-1`` is unlimited.

    Raises:
        InvalidArgument: it is neither.
    """
    return -1 if text.strip() == "-1" else parse_bytes(text, "--memory-swap")


def parse_nano_cpus(text: str) -> int:
    """``1.5`` CPUs in units of a billionth, at most nine digits after the point as docker demands.

    Raises:
        InvalidArgument: it is not a positive number, or finer than a billionth.
    """
    if re.fullmatch(r"\d+(?:\.\d*)?|\.\d+", text, re.ASCII) is None:
        raise InvalidArgument(f"--cpus: invalid number {text!r}", hint="write it like 2 or 0.5")
    nano = Decimal(text) * NANO
    if nano != int(nano):
        raise InvalidArgument(f"--cpus: {text!r} is finer than a billionth of a CPU")
    if nano > _MAX:
        raise InvalidArgument(f"--cpus: {text!r} is too large")
    return int(nano)
