"""Where a container's output goes: straight through, with host prefixes, or kept to be folded. Memory is bounded."""

from __future__ import annotations

from typing import Protocol

from jackstay.cli.output.fold import PrefixLines
from jackstay.cli.writing import write
from jackstay.errors import LimitExceeded

KEEP = 1024 * 1024
"""Bytes of a host's output that folding keeps; a host that writes more goes on with prefixes."""
CAPTURE = 16 * 1024 * 1024
"""Bytes of a host's output that ``--json`` holds at most."""

STDOUT, STDERR = 1, 2


class Sink(Protocol):
    """Takes one host's output; waiting in ``write`` is the back-pressure."""

    async def write(self, fd: int, data: bytes) -> None:
        """Take a piece for descriptor 1 or 2."""

    async def close(self) -> None:
        """The end: what was held back goes out."""


class Through:
    """Straight to our own descriptors."""

    async def write(self, fd: int, data: bytes) -> None:
        """Write it all."""
        await write(fd, data)

    async def close(self) -> None:
        """Nothing is held."""


class Prefixed:
    """Whole lines, each beginning with the host's name."""

    def __init__(self, host: str) -> None:
        self._lines = {fd: PrefixLines(f"{host}: ") for fd in (STDOUT, STDERR)}

    async def write(self, fd: int, data: bytes) -> None:
        """Write the lines that this piece completes."""
        if lines := self._lines[fd].feed(data):
            await write(fd, lines)

    async def close(self) -> None:
        """Write the unfinished lines."""
        for fd, lines in self._lines.items():
            if rest := lines.rest():
                await write(fd, rest)


class Folding:
    """Keeps standard output for folding; standard error goes out with prefixes at once."""

    def __init__(self, host: str) -> None:
        self._prefixed = Prefixed(host)
        self.kept: bytes | None = b""
        """What came, or ``None`` when it was too much to keep and went out with prefixes."""

    async def write(self, fd: int, data: bytes) -> None:
        """Keep it, or let it out."""
        if fd == STDERR or self.kept is None:
            await self._prefixed.write(fd, data)
        elif len(self.kept) + len(data) <= KEEP:
            self.kept += data
        else:
            kept, self.kept = self.kept, None
            await self._prefixed.write(fd, kept + data)

    async def close(self) -> None:
        """Write the unfinished lines of what was not kept."""
        await self._prefixed.close()


class Captured:
    """Both streams in memory, for ``--json``."""

    def __init__(self) -> None:
        self.streams = {STDOUT: bytearray(), STDERR: bytearray()}

    async def write(self, fd: int, data: bytes) -> None:
        """Keep it.

        Raises:
            LimitExceeded: more than ``CAPTURE`` bytes have come.
        """
        if sum(map(len, self.streams.values())) + len(data) > CAPTURE:
            raise LimitExceeded(f"the output is larger than the {CAPTURE} bytes that --json holds")
        self.streams[fd] += data

    async def close(self) -> None:
        """Nothing to do."""

    def text(self, fd: int) -> str:
        """A stream as text; what is not UTF-8 is replaced."""
        return self.streams[fd].decode(errors="replace")
