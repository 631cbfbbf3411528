"""gzip made by several threads, for what one thread would take too long to compress.

Guarantees: one gzip member, which every reader takes; the same bytes, written in the same pieces, give the same result,
however many threads made it. Memory is bounded by some 4 MiB a thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from isal import igzip_threaded

BLOCK = 1 << 20
"""Bytes that are compressed at a time. Each block knows the 32 KiB before it, so that nearly nothing is lost."""


class Writer(Protocol):
    """Takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Take all of *data*."""
        ...


@contextmanager
def parallel_gzip(out: Writer, *, level: int, threads: int) -> Iterator[Writer]:
    """A writer whose bytes reach *out* compressed, from another thread; all have when the block has ended.

    Args:
        out: is left open.
        level: 0 to 3, isal's.
        threads: at least 1; one more passes on what they made.

    Raises what *out* raises: from a later write or at the end of the block.
    """
    packing = igzip_threaded.open(  # type: ignore[no-untyped-call]
        _Out(out), "wb", compresslevel=level, threads=threads, block_size=BLOCK
    )
    with packing:
        yield packing


class _Out:
    """What the library wants of a file."""

    def __init__(self, out: Writer) -> None:
        self._out = out

    def write(self, data: bytes) -> None:
        self._out.write(data)

    def flush(self) -> None:
        """Nothing is held back here."""
