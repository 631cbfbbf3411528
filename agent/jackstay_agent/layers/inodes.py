"""A set of inode numbers, as bits: filesystems give them out nearly in a row, so a million takes about 150 KB."""

from __future__ import annotations

_BITS = 9  # of a number say which bit of its piece it is


class Inodes:
    """The numbers of files on one filesystem."""

    def __init__(self) -> None:
        self._pieces: dict[int, int] = {}

    def add(self, number: int) -> None:
        """Put *number* in."""
        piece = number >> _BITS
        self._pieces[piece] = self._pieces.get(piece, 0) | 1 << (number & (1 << _BITS) - 1)

    def __contains__(self, number: int) -> bool:
        return bool(self._pieces.get(number >> _BITS, 0) >> (number & (1 << _BITS) - 1) & 1)
