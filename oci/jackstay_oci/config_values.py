"""Values as image configs write them: exposed ports and paths. Pure."""

from __future__ import annotations

import posixpath
import re

from jackstay_oci.errors import InvalidArgument

_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.ASCII | re.IGNORECASE)


def parse_exposed(text: str) -> tuple[tuple[int, str], ...]:
    """Ports as EXPOSE and ExposedPorts write them: "80", "80/udp", "8000-8010/tcp". Raises `InvalidArgument`."""
    match = _PORT.fullmatch(text.strip())
    if match is None:
        raise InvalidArgument(f"invalid port {text[:60]!r}", hint="write PORT[-PORT][/tcp|udp|sctp]")
    first = int(match[1])
    last = int(match[2] or first)
    if not 0 < first <= last <= 65535:
        raise InvalidArgument(f"invalid port {text[:60]!r}: out of 1 to 65535")
    protocol = (match[3] or "tcp").lower()
    return tuple((port, protocol) for port in range(first, last + 1))


def absolute(path: str, what: str) -> str:
    """*path* cleaned as Go's path.Clean does. Raises `InvalidArgument`, naming *what*, unless it is absolute."""
    if not path.startswith("/"):
        raise InvalidArgument(f"{what} {path[:100]!r} is invalid, it needs to be an absolute path")
    if "\0" in path:
        raise InvalidArgument(f"{what} {path[:100]!r} has a NUL byte")
    return posixpath.normpath("/" + path.lstrip("/"))
