"""Turns the kernel's ways of saying "full" into ``DiskFull``; every other ``OSError`` stays what it is."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from jackstay_oci.errors import DiskFull

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def full_disk_named(what: str) -> Iterator[None]:
    """Run the block; a full disk, exhausted inodes or quota become ``DiskFull`` naming ``what``.

    Raises:
        DiskFull: in place of ``OSError`` with ENOSPC or EDQUOT.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise DiskFull(
            f"no space left for {what}", hint="free space: remove images or containers, or run a prune"
        ) from error
