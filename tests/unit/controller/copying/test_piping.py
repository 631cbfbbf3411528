"""The pipe between the event loop and a thread: what comes through, and that nobody is left waiting."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from jackstay.copying.piping import PIECE, PipeWriter, consumed, produced
from jackstay.copying.pouring import Write
from jackstay.errors import Error

DATA = bytes(range(256)) * 20_000  # more than a pipe holds


async def test_all_that_is_produced_comes() -> None:
    def produce(out: PipeWriter) -> None:
        out.write(b"head")
        for _ in range(3):
            out.write(DATA)

    pieces = [piece async for piece in produced(produce)]
    assert b"".join(pieces) == b"head" + DATA * 3
    assert max(map(len, pieces)) <= PIECE


async def test_what_goes_wrong_comes_after_what_was_produced() -> None:
    def produce(out: PipeWriter) -> None:
        out.write(b"some")
        out.flush()
        raise Error("broken")

    pieces = produced(produce)
    assert await anext(pieces) == b"some"
    with pytest.raises(Error, match="broken"):
        await anext(pieces)


async def test_who_produces_for_nobody_ends() -> None:
    ended = threading.Event()

    def produce(out: PipeWriter) -> None:
        try:
            while True:
                out.write(DATA)
        finally:
            ended.set()

    pieces = produced(produce)
    await anext(pieces)
    await pieces.aclose()
    assert await asyncio.to_thread(ended.wait, 10)


async def test_all_that_is_fed_is_consumed() -> None:
    got = bytearray()

    def consume(fd: int) -> None:
        while piece := os.read(fd, 1 << 16):
            got.extend(piece)

    async def feed(write: Write) -> None:
        for _ in range(3):
            await write(memoryview(DATA))

    await consumed(consume, feed)
    assert bytes(got) == DATA * 3


async def test_who_consumes_no_more_stops_who_feeds() -> None:
    def consume(fd: int) -> None:
        os.read(fd, 10)
        raise Error("no space")

    async def feed(write: Write) -> None:
        while True:
            await write(memoryview(DATA))

    with pytest.raises(Error, match="no space"):
        await consumed(consume, feed)


async def test_who_feeds_no_more_ends_who_consumes() -> None:
    ended = threading.Event()

    def consume(fd: int) -> None:
        while os.read(fd, 1 << 16):
            pass
        ended.set()
        raise Error("cut")

    async def feed(write: Write) -> None:
        await write(memoryview(DATA))
        raise Error("the host is gone")

    with pytest.raises(Error, match="the host is gone"):
        await consumed(consume, feed)
    assert ended.is_set()
