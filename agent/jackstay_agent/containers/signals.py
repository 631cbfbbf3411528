"""Signals by docker's names: "KILL", "SIGTERM", "9", "RTMIN+3". Pure."""

from __future__ import annotations

import re
import signal

from jackstay_agent.errors import InvalidArgument

_REAL_TIME = re.compile(r"(RTMIN|RTMAX)(?:([+-])(\d{1,2}))?")


def parse(text: str) -> int:
    """The number of the signal *text*. Raises `InvalidArgument`."""
    name = text.strip().upper().removeprefix("SIG")
    if name.isascii() and name.isdigit():
        number = int(name[:4])
        if 0 < number <= signal.SIGRTMAX:
            return number
    match = _REAL_TIME.fullmatch(name)
    if match is not None:
        base = int(signal.SIGRTMIN if match[1] == "RTMIN" else signal.SIGRTMAX)
        number = base + int(f"{match[2] or '+'}{match[3] or 0}")
        if signal.SIGRTMIN <= number <= signal.SIGRTMAX:
            return number
    known = {item.name.removeprefix("SIG"): int(item) for item in signal.Signals}
    if name in known:
        return known[name]
    raise InvalidArgument(f"invalid signal: {text[:40]}", hint="give a name like TERM or a number")
