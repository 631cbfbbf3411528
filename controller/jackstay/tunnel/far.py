"""The far side of one connection, as whoever carries bytes between two sides sees it; and who opens it."""

from __future__ import annotations

from typing import Protocol

from jackstay.errors import Unreachable


class Near(Protocol):
    """The local side of a pair, as the far side sees it."""

    def write(self, data: bytes) -> None:
        """Bytes from there."""

    def write_eof(self) -> None:
        """The far side writes no more."""

    def remote_lost(self, error: Exception | None) -> None:
        """The far side is gone; with an error when the way to it is."""

    def pause_reading(self) -> None:
        """The far side takes no more."""

    def resume_reading(self) -> None:
        """The far side takes more again."""


class FarEnd(Protocol):
    """An open far side. It reads nothing until it is joined to a near side."""

    closed: bool

    def join(self, near: Near) -> None:
        """Let bytes flow."""

    def write(self, data: bytes) -> None:
        """Send; what does not fit is kept, and the near side is told to pause."""

    def write_eof(self) -> None:
        """Nothing follows."""

    def pause_reading(self) -> None:
        """Take no more bytes."""

    def resume_reading(self) -> None:
        """Take bytes again."""

    def close(self) -> None:
        """Close both directions."""


class FarEnds(Protocol):
    """Opens far sides."""

    async def open(self) -> FarEnd:
        """A new one. Raises :class:`~jackstay.errors.Unreachable`."""
        ...

    def ended(self, end: FarEnd, error: Exception | None) -> None:
        """Told of the end of one."""

    @property
    def failure(self) -> Unreachable | None:
        """Why the last one could not be opened, or ended."""
        ...
