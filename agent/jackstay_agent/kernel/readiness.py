"""Waiting, without a thread, until a non-blocking descriptor has something to read, or takes more."""

from __future__ import annotations

import asyncio


async def readable(descriptor: int) -> None:
    """Return when *descriptor* can be read, or its other end is gone. One waiter a descriptor at a time."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


async def writable(descriptor: int) -> None:
    """Return when *descriptor* can be written to, or its other end is gone. One waiter a descriptor at a time."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(descriptor, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_writer(descriptor)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
