"""Blobs from connections that break and registries that give other bytes than were asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest
from aiohttp import web

from jackstay_oci.digest import Digest
from jackstay_oci.errors import NotFound, RegistryFailed
from jackstay_oci.registry import answers
from jackstay_oci.registry.answers import PIECE
from jackstay_oci.registry.client import RegistryClient
from tests.unit.oci.registry.serving import QUICK, REPOSITORY, Registry, client, serving


async def read(registry: RegistryClient, image: Registry, offset: int = 0, length: int | None = None) -> bytes:
    length = len(image.layer) - offset if length is None else length
    return b"".join([piece async for piece in registry.read(REPOSITORY, image.layer_digest, offset, length)])


def cutting(image: Registry, after: int) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Gives *after* bytes of what is asked for, then breaks the connection."""

    async def answer(request: web.Request) -> web.StreamResponse:
        whole = await image(request)
        assert isinstance(whole, web.Response)
        assert isinstance(whole.body, bytes)
        if len(whole.body) <= after:
            return whole
        cut = web.StreamResponse(status=whole.status, headers={**whole.headers, "Content-Length": str(len(whole.body))})
        await cut.prepare(request)
        await cut.write(whole.body[:after])
        assert request.transport is not None
        request.transport.close()
        return cut

    return answer


@pytest.mark.parametrize(("offset", "length"), [(0, 200_000), (1, 10), (100_001, 99_999), (7, 0)])
@pytest.mark.parametrize("ranges", [True, False])
async def test_a_part_also_where_ranges_are_ignored(ranges: bool, offset: int, length: int) -> None:
    image = Registry(ranges=ranges)
    async with serving(image) as server, client(server) as registry:
        assert await read(registry, image, offset, length) == image.layer[offset : offset + length]


async def test_where_ranges_are_ignored_the_rest_is_taken_from_one_answer_in_sequence() -> None:
    image = Registry(bytes(range(251)) * 80_000, ranges=False)
    size, part = len(image.layer), 1_000_000
    async with serving(image) as server, client(server) as registry:
        for at_once in (1, 4):
            server.seen.clear()
            came = bytearray()
            for start in range(0, size, at_once * part):
                starts = range(start, min(start + at_once * part, size), part)
                parts = await asyncio.gather(*(read(registry, image, at, min(part, size - at)) for at in starts))
                came += b"".join(parts)
            assert came == image.layer
            # Those that were asked for at the same time could not know yet, and their answers come in any order.
            assert len(server.seen) <= 2 * at_once - 1


async def test_of_one_answer_what_lies_before_cannot_be_had_and_what_broke_comes_anew() -> None:
    image, broken = Registry(ranges=False), False

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (cutting(image, 100_000) if broken else image)(request)

    async with serving(answer) as server, client(server) as registry:
        for offset, requests in ((50_000, 1), (120_000, 1), (60_000, 2), (60_100, 2)):
            assert await read(registry, image, offset, 100) == image.layer[offset : offset + 100]
            assert len(server.seen) == requests
        broken = True
        assert await read(registry, image, 0, 80_000) == image.layer[:80_000]
        broken = False
        assert await read(registry, image, 80_000) == image.layer[80_000:]
        assert len(server.seen) == 4


async def test_who_stands_still_with_the_one_answer_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answers, "LONGEST_TURN", 0.01)
    image = Registry(bytes(range(251)) * 20_000, ranges=False)
    size = len(image.layer)
    async with serving(image) as server, client(server) as registry:
        async with aclosing(registry.read(REPOSITORY, image.layer_digest, 0, size)) as still:
            came = await anext(still)
            assert await read(registry, image, 100, size - 100) == image.layer[100:]
            came += b"".join([piece async for piece in still])
    assert came == image.layer
    assert len(server.seen) == 2


async def test_who_leaves_one_answer_leaves_it_to_the_next() -> None:
    image = Registry(bytes(range(251)) * 20_000, ranges=False)
    async with serving(image) as server, client(server) as registry:
        async with aclosing(registry.read(REPOSITORY, image.layer_digest, 0, len(image.layer))) as pieces:
            came = len(await anext(pieces))
        waiting = asyncio.create_task(read(registry, image, came))
        assert await waiting == image.layer[came:]
    assert len(server.seen) == 1


async def test_pieces_are_bounded_and_leaving_early_is_allowed() -> None:
    image = Registry(bytes(5 * PIECE))
    async with serving(image) as server, client(server) as registry:
        sizes = [len(piece) async for piece in registry.read(REPOSITORY, image.layer_digest, 0, 5 * PIECE)]
        assert sum(sizes) == 5 * PIECE
        assert max(sizes) <= PIECE
        async with aclosing(registry.read(REPOSITORY, image.layer_digest, 0, 5 * PIECE)) as pieces:
            assert await anext(pieces)


async def test_no_more_is_read_ahead_than_a_little() -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Length": str(1 << 40)})
        await response.prepare(request)
        while True:
            await response.write(bytes(1 << 16))
            sent += 1 << 16

    async with serving(endless) as server, client(server) as registry:
        async with aclosing(registry.read(REPOSITORY, Digest.of(b""), 0, 1 << 40)) as pieces:
            await anext(pieces)
            before = -1
            while before != sent:  # until the sender is held up
                before = sent
                for _ in range(1000):
                    await asyncio.sleep(0)
    assert sent < 32 << 20


async def test_a_connection_that_breaks_is_gone_on_from_where_it_broke() -> None:
    image = Registry()
    async with serving(cutting(image, 70_000)) as server, client(server) as registry:
        assert await read(registry, image) == image.layer
    starts = [int((seen.range or "").removeprefix("bytes=").partition("-")[0]) for seen in server.seen]
    assert starts[0] == 0
    assert starts == sorted(set(starts))  # each goes on further than the one before


async def test_a_connection_that_breaks_where_ranges_are_ignored() -> None:
    image, cut = Registry(ranges=False), 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal cut
        cut += 1
        return await cutting(image, 60_000 * cut)(request)

    async with serving(answer) as server, client(server) as registry:
        assert await read(registry, image) == image.layer


async def test_connections_that_bring_nothing_are_given_up() -> None:
    image = Registry()
    async with serving(cutting(image, 0)) as server, client(server) as registry:
        with pytest.raises(RegistryFailed, match=REPOSITORY) as raised:
            await read(registry, image)
    assert server.name in raised.value.message
    assert len(server.seen) == QUICK.attempts


@pytest.mark.parametrize("given", ["bytes 1-10/200", "bytes 0-199/200", "bytes 20-10/200", "pages 10-20/30", ""])
async def test_another_part_than_was_asked_for_is_refused(given: str) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=206, body=bytes(100), headers={"Content-Range": given} if given else {})

    async with serving(answer) as server, client(server) as registry:
        with pytest.raises(RegistryFailed, match="another part"):
            await read(registry, Registry(), 10, 100)


async def test_fewer_bytes_than_there_must_be_are_an_error() -> None:
    image = Registry()
    async with serving(image) as server, client(server) as registry:
        for offset in (0, len(image.layer)):
            with pytest.raises(RegistryFailed, match=f"only {len(image.layer)} bytes"):
                await read(registry, image, offset, len(image.layer) + 1)


async def test_more_bytes_than_were_asked_for_are_not_given_on() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=206, body=bytes(1000), headers={"Content-Range": "bytes 0-999/1000"})

    async with serving(answer) as server, client(server) as registry:
        assert await read(registry, Registry(), 0, 10) == bytes(10)


async def test_an_encoding_that_nobody_asked_for_is_refused() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=bytes(10), headers={"Content-Encoding": "gzip"})

    async with serving(answer) as server, client(server) as registry:
        with pytest.raises(RegistryFailed, match="encoded once more"):
            await read(registry, Registry(), 0, 10)


async def test_a_blob_that_is_not_there() -> None:
    async with serving(Registry()) as server, client(server) as registry:
        missing = Digest.of(b"missing")
        assert not await registry.has_blob(REPOSITORY, missing)
        assert await registry.has_blob(REPOSITORY, Registry().layer_digest)
        with pytest.raises(NotFound, match=missing):
            await anext(registry.read(REPOSITORY, missing, 0, 1))
