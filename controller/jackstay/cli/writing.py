"""Writing to our own descriptors without blocking the event loop; what goes wrong becomes an error with a name."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from contextlib import suppress

from jackstay.errors import DiskFull, Error


class OutputClosed(Error):
    """Whoever read our output is gone, as with ``| head``; the command ends without a word."""

    reason = "OUTPUT_CLOSED"


async def write(fd: int, data: bytes | memoryview) -> None:
    """:func:`write_now` in a thread: a slow reader holds up only this stream.

    A pipe that nobody empties holds up a write for ever, and the end of the program would wait for a thread of
    asyncio's. So the thread is one that nobody waits for, except where a write always ends: in a file.
    """
    if stat.S_ISREG(os.fstat(fd).st_mode):
        await asyncio.to_thread(write_now, fd, data)
        return
    loop = asyncio.get_running_loop()
    written: asyncio.Future[None] = loop.create_future()

    def end(error: Exception | None) -> None:
        if written.done():  # cancelled
            return
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)

    def work() -> None:
        failed: Exception | None = None
        try:
            write_now(fd, data)
        except Exception as error:
            failed = error
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(end, failed)

    threading.Thread(target=work, daemon=True).start()
    await written


def write_now(fd: int, data: bytes | memoryview) -> None:
    """Write it all, waiting for a slow reader.

    Raises:
        OutputClosed: nobody reads any more.
        DiskFull: no space is left.
        Error: the write failed otherwise.
    """
    from jackstay_oci.tar.window import write_all

    try:
        write_all(fd, data)
    except BrokenPipeError:
        raise OutputClosed("the output was closed") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("no space is left where the output goes") from None
        raise Error(f"the output cannot be written: {error.strerror}") from None
