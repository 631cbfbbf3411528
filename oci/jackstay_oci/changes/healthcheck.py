"""HEALTHCHECK in both its forms: NONE, and CMD with a command or a JSON array. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from jackstay_oci.changes.lines import strings
from jackstay_oci.errors import InvalidArgument
from jackstay_oci.image_config import Healthcheck

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATIONS = ("interval", "timeout", "start-period", "start-interval")
_LEAST, _MOST = 10**6, (1 << 63) - 1
_MAX_RETRIES = (1 << 31) - 1


def parse(flags: Sequence[str], rest: str) -> Healthcheck:
    """The healthcheck that the instruction's *flags* and *rest* write. Raises `InvalidArgument`."""
    kind, _, command = rest.replace("\t", " ").partition(" ")
    kind, command = kind.upper(), rest[len(kind) :].strip()
    if kind == "NONE":
        if command or flags:
            raise InvalidArgument("HEALTHCHECK NONE takes no arguments")
        return Healthcheck(test=("NONE",))
    if kind != "CMD":
        raise InvalidArgument(f"unknown type {kind[:20]!r} in HEALTHCHECK", hint="write CMD or NONE")
    words = strings(command)
    test = ("CMD-SHELL", command) if words is None else ("CMD", *words)
    if not command or len(test) == 1:
        raise InvalidArgument("missing command after HEALTHCHECK CMD")
    numbers = dict(_number(flag) for flag in flags)
    return Healthcheck(test=test, **numbers)


def _number(flag: str) -> tuple[str, int]:
    key, _, value = flag.partition("=")
    if key in _DURATIONS:
        return key.replace("-", "_"), _duration(key, value)
    if key != "retries":
        raise InvalidArgument(f"unknown flag of HEALTHCHECK: --{key[:40]}", hint="see the Dockerfile reference")
    if not (value.isascii() and value.isdigit() and len(value) <= 10 and int(value) <= _MAX_RETRIES):
        raise InvalidArgument(f"invalid HEALTHCHECK --retries {value[:40]!r}", hint="write a number")
    return key, int(value)


def _duration(key: str, text: str) -> int:
    """Nanoseconds of a duration as Go writes it: "1m30s". 0 is docker's own standard value."""
    if text == "0":
        return 0
    parts = _DURATION.findall(text) if len(text) < 40 else []
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidArgument(f"invalid HEALTHCHECK --{key} {text[:40]!r}", hint='write a duration such as "30s"')
    total = sum(int(float(number) * _UNITS[unit]) for number, unit in parts)
    if not _LEAST <= total <= _MOST and total != 0:
        raise InvalidArgument(f"HEALTHCHECK --{key} {text[:40]!r} is out of bounds", hint="at least 1ms")
    return total
