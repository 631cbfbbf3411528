"""Lists of CPUs or memory nodes as the kernel writes them ("0-2,7"). Pure."""

from __future__ import annotations

import re

from jackstay_agent.errors import InvalidArgument

_PART = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?", re.ASCII)


def parse(text: str, what: str = "cpus") -> frozenset[int]:
    """The numbers in *text*, which is a list of *what*. Raises `InvalidArgument`."""
    cpus: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise InvalidArgument(f"invalid value {text[:60]!r} for cpuset {what}", hint='write a list such as "0-2,7"')
        cpus.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return frozenset(cpus)


def format_list(cpus: frozenset[int]) -> str:
    """*cpus* as such a text, in ranges."""
    ranges: list[list[int]] = []
    for cpu in sorted(cpus):
        if ranges and ranges[-1][1] == cpu - 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
