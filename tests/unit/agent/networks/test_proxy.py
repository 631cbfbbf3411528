"""What passes on what comes by IPv6, here from ::1 to 127.0.0.1 and within one process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from jackstay_agent.networks import proxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def connected(handler) -> AsyncIterator[Streams]:
    """A connection to *handler* through the proxy."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        listener.setblocking(False)
        serving = asyncio.create_task(proxy.connections(listener, server.sockets[0].getsockname()))
        reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        try:
            yield reader, writer
        finally:
            writer.close()
            serving.cancel()
            server.close()
            await asyncio.wait([serving])


async def test_each_direction_ends_for_itself() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"first, ")
        given = await reader.read()
        writer.write(str(len(given)).encode())
        writer.close()

    async with connected(answer) as (reader, writer):
        assert await reader.readexactly(7) == b"first, "
        writer.write(bytes(1_000_000))
        writer.write_eof()
        assert await reader.read() == b"1000000"


async def test_an_end_by_an_error_is_passed_on_as_one() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, proxy._RESET)
        writer.close()

    async with connected(reset) as (reader, writer):
        writer.write(b"x")
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_nobody_there_is_an_error_for_the_caller() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        target = closed.getsockname()
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        listener.setblocking(False)
        serving = asyncio.create_task(proxy.connections(listener, target))
        reader, _writer = await asyncio.open_connection(*listener.getsockname()[:2])
        with pytest.raises(ConnectionResetError):
            await reader.read()
        serving.cancel()
        await asyncio.wait([serving])


async def test_it_ends_when_idle_but_not_under_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "IDLE", 0.05)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        listener.setblocking(False)
        serving = asyncio.create_task(proxy.connections(listener, server.sockets[0].getsockname()))
        reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        for _ in range(3):
            await asyncio.sleep(0.1)
            writer.write(b"still there")
            assert await reader.readexactly(11) == b"still there"
        assert not serving.done()
        writer.close()
        await asyncio.wait_for(serving, 5)
    server.close()


def sender(place: tuple[str, int]) -> socket.socket:
    """A socket that takes answers from *place* only."""
    ours = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    ours.setblocking(False)
    ours.connect(place)
    return ours


async def test_datagrams_find_their_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "IDLE", 0.05)
    monkeypatch.setattr(proxy, "FLOW", 0.2)
    monkeypatch.setattr(proxy, "FLOWS", 2)
    loop = asyncio.get_running_loop()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as container,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as listener,
    ):
        for each, address in ((container, "127.0.0.1"), (listener, "::1")):
            each.bind((address, 0))
            each.setblocking(False)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        serving = asyncio.create_task(proxy.datagrams(listener, container.getsockname()))
        seen = []
        senders = [sender(listener.getsockname()[:2]) for _ in range(3)]
        for number in (0, 1, 0, 2, 1):  # the third makes it forget the second, who then comes by another socket
            await loop.sock_sendall(senders[number], b"%d" % number)
            data, peer = await loop.sock_recvfrom(container, 100)
            assert data == b"%d" % number
            seen.append(peer)
            await loop.sock_sendto(container, b"back to %d" % number, peer)
            assert await loop.sock_recv(senders[number], 100) == b"back to %d" % number
        assert seen[0] == seen[2]
        assert len({seen[0], seen[1], seen[3], seen[4]}) == 4
        await asyncio.wait_for(serving, 5)
        for each in senders:
            each.close()
