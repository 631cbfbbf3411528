"""How the C library keeps what was freed: pieces of blobs come and go by the thousand, a MiB each.

By default glibc gives each back to the kernel and asks for it anew, and the kernel clears every page of it: of the
agent's time for a save a third. What is kept instead is bounded: `KEPT` in each of at most `ARENAS` arenas.
"""

from __future__ import annotations

import ctypes

KEPT = 8 << 20
"""Free bytes at the end of an arena above which they are given back."""
ARENAS = 2
"""Arenas that threads share; by default there are eight a processor."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h


def keep_freed_pieces() -> None:
    """To be called once, before threads start. Does nothing where the C library is not glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS)
        mallopt(_M_TRIM_THRESHOLD, KEPT)
        mallopt(_M_MMAP_THRESHOLD, KEPT // 2)
