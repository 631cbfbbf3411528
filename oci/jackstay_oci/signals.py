"""Signals of Linux by docker's names: "KILL", "SIGTERM", "9", "RTMIN+3". Pure, and the same on every machine."""

from __future__ import annotations

import re

from jackstay_oci.errors import InvalidArgument

RTMIN, RTMAX = 34, 64
"""As the C library has them: it keeps the first two of the kernel's for itself."""

_NAMES = (
    *("HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM"),
    *("TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF"),
    *("WINCH", "IO", "PWR", "SYS"),
)
_KNOWN = {name: number for number, name in enumerate(_NAMES, 1)} | {"IOT": 6, "CLD": 17, "POLL": 29, "UNUSED": 31}
_REAL_TIME = re.compile(r"(RTMIN|RTMAX)(?:([+-])(\d{1,2}))?", re.ASCII)


def parse(text: str) -> int:
    """The number of the signal *text*. Raises `InvalidArgument`."""
    name = text.strip().upper().removeprefix("SIG")
    if name.isascii() and name.isdigit():
        number = int(name[:4])
        if 0 < number <= RTMAX:
            return number
    match = _REAL_TIME.fullmatch(name)
    if match is not None:
        base = RTMIN if match[1] == "RTMIN" else RTMAX
        number = base + int(f"{match[2] or '+'}{match[3] or 0}")
        if RTMIN <= number <= RTMAX:
            return number
    if name in _KNOWN:
        return _KNOWN[name]
    raise InvalidArgument(f"invalid signal: {text[:40]}", hint="give a name like TERM or a number")
