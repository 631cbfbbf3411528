"""Writing to our own descriptors without blocking the event loop; what goes wrong becomes an error with a name."""

from __future__ import annotations

import asyncio
import errno

from jackstay.errors import DiskFull, Error
from jackstay_oci.tar.window import write_all


class OutputClosed(Error):
    """Whoever read our output is gone, as with ``| head``; the command ends without a word."""

    reason = "OUTPUT_CLOSED"


async def write(fd: int, data: bytes | memoryview) -> None:
    """:func:`write_now` in a thread: a slow reader holds up only this stream."""
    await asyncio.to_thread(write_now, fd, data)


def write_now(fd: int, data: bytes | memoryview) -> None:
    """Write it all, waiting for a slow reader.

    Raises:
        OutputClosed: nobody reads any more.
        DiskFull: no space is left.
        Error: the write failed otherwise.
    """
    try:
        write_all(fd, data)
    except BrokenPipeError:
        raise OutputClosed("the output was closed") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("no space is left where the output goes") from None
        raise Error(f"the output cannot be written: {error.strerror}") from None
