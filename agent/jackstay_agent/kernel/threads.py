"""Blocking calls in threads, without leaving the thread behind; and work that a cancelled caller waits for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from concurrent import futures
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def finish(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`asyncio.to_thread`, but a cancelled caller goes on only after the thread has returned.

    For calls that use a descriptor which the caller closes afterwards: it must not be closed, and its number taken by
    something else, under a write that is still going on. The threads are few and shared by the whole agent, so
    *function* must not wait for what another caller of this is to do; that is what `begin` is for.
    """
    return await to_end(asyncio.to_thread(function, *args, **kwargs))


async def to_end(work: Awaitable[T]) -> T:
    """Await *work*; a caller who is cancelled, however often, goes on only when it has ended, and is cancelled then."""
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # taken, so that it is not reported as forgotten
        raise


async def cancel_once(work: Awaitable[T]) -> T:
    """Await *work*; when the caller is cancelled, so is *work*, but one time only, and the caller waits for its end.

    For callers that are cancelled again and again, such as gRPC's: what *work* does in its ``finally`` is not cut.
    """
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        running.cancel()
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        if not running.cancelled():
            running.exception()
        raise


async def acquire(function: Callable[P, T], release: Callable[[T], object], *args: P.args, **kwargs: P.kwargs) -> T:
    """`finish` for what gives something that must be given back, such as a descriptor.

    When the caller is cancelled, nobody gets what *function* gave, and *release* is called with it.
    """
    return await acquired(asyncio.to_thread(function, *args, **kwargs), release)


async def acquired(work: Awaitable[T], release: Callable[[T], object]) -> T:
    """`to_end` for *work* that gives something that must be given back, as `acquire` does for a call in a thread."""
    running = asyncio.ensure_future(work)
    try:
        return await to_end(running)
    except asyncio.CancelledError:
        if not running.cancelled() and running.exception() is None:
            release(running.result())
        raise


def begin(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """Run *function* in a thread of its own: for what waits for somebody else, such as the other end of a pipe.

    In the shared threads a few of those would keep everybody out, whom they wait for among them. Cancelling what is
    returned does not stop the thread.
    """
    result: futures.Future[T] = futures.Future()
    result.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result.set_result(function(*args, **kwargs))
        except BaseException as error:  # the future's to tell
            result.set_exception(error)

    threading.Thread(target=run, daemon=True, name=f"own-{function.__name__}").start()
    return asyncio.wrap_future(result)
