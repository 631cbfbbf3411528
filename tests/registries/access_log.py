"""The lines of a registry's access log (Apache's combined format)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(r'^(\S+) - (\S+) \[[^]]*\] "(\S+) (\S+) [^"]*" (\d+) (\d+) "[^"]*" "([^"]*)"$')


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was answered."""

    client: str  # its address
    method: str
    path: str  # with its query
    status: int
    size: int  # of the answer's body, bytes
    agent: str


def requests_in(text: str) -> list[Request]:
    """The requests of a log's whole lines, oldest first; other lines are passed over."""
    found = (_LINE.match(line) for line in text.splitlines())
    return [Request(match[1], match[3], match[4], int(match[5]), int(match[6]), match[7]) for match in found if match]
