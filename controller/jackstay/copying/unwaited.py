"""Work in a thread that nobody waits for when it is not wanted any more.

A read of standard input and a write to a pipe may stand still for ever. The end of the program waits for asyncio's own
threads, and not for this one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def begin(work: Callable[[], T], discard: Callable[[T], object] | None = None) -> asyncio.Future[T]:
    """Begin *work*; what it returns, or raises. A result that comes after the future was cancelled is *discarded*."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def give(result: T) -> None:
        if not ended.done():
            ended.set_result(result)
        elif discard is not None:
            discard(result)

    def fail(error: BaseException) -> None:
        if not ended.done():
            ended.set_exception(error)

    def run() -> None:
        with suppress(RuntimeError):  # the loop is closed, and the program about to end
            try:
                result = work()
            except BaseException as error:  # the future's to tell
                loop.call_soon_threadsafe(fail, error)
            else:
                loop.call_soon_threadsafe(give, result)

    threading.Thread(target=run, daemon=True).start()
    return ended
