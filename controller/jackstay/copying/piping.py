"""A pipe between the event loop and a thread that reads or writes a tar: each waits for the other, nothing piles up.

Guarantees: whoever is cancelled leaves no thread behind that waits for the pipe; one that waits for standard input is
left to the end of the program.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from jackstay.copying.unwaited import begin
from jackstay_oci.tar.window import write_all

if TYPE_CHECKING:
    from jackstay.copying.pouring import Write

PIECE = 1 << 20
"""Bytes of one piece at most."""


class PipeWriter:
    """Writes to the pipe *fd*, a larger piece at a time."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._held = bytearray()

    def write(self, data: bytes, /) -> None:
        """Take *data*."""
        if len(data) >= PIECE and not self._held:
            write_all(self._fd, data)
            return
        self._held += data
        if len(self._held) >= PIECE:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        write_all(self._fd, bytes(self._held))
        self._held.clear()


async def produced(produce: Callable[[PipeWriter], None]) -> AsyncGenerator[bytes, None]:
    """What *produce*, in a thread, writes. Raises what it raised, at the end."""
    reading, writing = _pipe()
    os.set_blocking(reading, False)

    def work() -> None:
        try:
            out = PipeWriter(writing)
            produce(out)
            out.flush()
        except BrokenPipeError:
            pass  # nobody wants the rest
        finally:
            os.close(writing)

    ended = begin(work)
    try:
        while piece := await _read(reading):
            yield piece
        await ended
    finally:
        os.close(reading)
        ended.cancel()


async def consumed(consume: Callable[[int], None], feed: Callable[[Write], Awaitable[object]]) -> None:
    """Have *consume*, in a thread, read from a pipe what the coroutine function *feed* writes.

    Raises what either raised, *consume* first: who feeds it sees nothing but that nobody reads.
    """
    reading, writing = _pipe()
    os.set_blocking(writing, False)

    def work() -> None:
        try:
            consume(reading)
        finally:
            os.close(reading)

    ended = begin(work)

    async def write(data: memoryview) -> None:
        done = 0
        while done < len(data):
            try:
                done += os.write(writing, data[done:])
            except BlockingIOError:
                await _ready(writing, to_write=True)

    try:
        with suppress(BrokenPipeError):
            await feed(write)
    except BaseException:
        os.close(writing)
        writing = -1
        with suppress(Exception):
            await asyncio.shield(ended)  # a tar that is cut: its error says less
        raise
    finally:
        if writing >= 0:
            os.close(writing)
    await ended


def _pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    with suppress(OSError, AttributeError):  # a lower limit, or a system without, only makes smaller pieces
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIECE)
    return reading, writing


async def _read(fd: int) -> bytes:
    while True:
        try:
            return os.read(fd, PIECE)
        except BlockingIOError:
            await _ready(fd, to_write=False)


async def _ready(fd: int, *, to_write: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    if to_write:
        loop.add_writer(fd, wake)
    else:
        loop.add_reader(fd, wake)
    try:
        await ready
    finally:
        if to_write:
            loop.remove_writer(fd)
        else:
            loop.remove_reader(fd)
