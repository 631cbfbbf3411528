"""Bounds on what archives and layers from others may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that no honest image reaches. Passing one raises ``LimitExceeded``, whose message names it."""

    entries: int = 400_000
    """Headers in one tar, extension headers counted. An archive's index takes some 600 bytes of memory for each."""
    name_bytes: int = 4096
    """Bytes of a name or link target (PATH_MAX)."""
    header_bytes: int = 1 << 20
    """Bytes of one PAX header or GNU long name, as Go's archive/tar bounds them."""
    global_bytes: int = 4096
    """Bytes of global PAX records that mean something. Each holds for every entry, and takes time for every one."""
    sparse_parts: int = 100_000
    """Pieces of data in one sparse file."""
    images: int = 10_000
    """Images in one archive."""
    total_bytes: int = 1 << 40
    """Bytes of all files together, holes counted; bytes that a decompressor may give."""
    ratio: int = 2000
    """Bytes out for one byte in. gzip cannot pass 1032; a layer of zeros in zstd gets near."""
    ratio_after: int = 1 << 28
    """Bytes out before the ratio counts."""


DEFAULT_LIMITS = Limits()
