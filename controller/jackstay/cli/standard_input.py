"""Reads standard input for a container: a piece at a time, only when the one before was taken, and cancellable."""

from __future__ import annotations

import asyncio
import os

MAX_READ = 64 * 1024
"""Bytes of one piece; the protocol takes 256 KiB."""


async def read_input(fd: int = 0) -> bytes:
    """The next piece, empty at the end.

    A terminal, pipe or socket is waited for in the event loop, so that cancelling leaves no thread behind that eats
    input. What the loop cannot wait for (a file) never blocks, and is read in a thread.
    """
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def readable() -> None:
        if not ready.done():
            ready.set_result(None)

    try:
        loop.add_reader(fd, readable)
    except PermissionError:  # epoll refuses regular files
        return await asyncio.to_thread(os.read, fd, MAX_READ)
    try:
        await ready
    finally:
        loop.remove_reader(fd)
    try:
        return os.read(fd, MAX_READ)
    except BlockingIOError:  # somebody else who shares the descriptor was faster
        return await read_input(fd)
    except OSError:  # the terminal hung up
        return b""
