"""When a child is started for a port on IPv6, and when it ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence

import pytest

from jackstay_agent.errors import Error
from jackstay_agent.networks import proxied
from jackstay_agent.networks.proxied import ProxiedPort


class Children:
    """Plays the spawner: a child takes the connections that wait; *fails* first, *stays* until it is cancelled."""

    def __init__(self, *, fails: int = 0, stays: bool = False) -> None:
        self.fails = fails
        self.stays = stays
        self.ran: list[object] = []
        self.began = asyncio.Event()
        self.killed = False

    async def run(self, job: str, argument: object, descriptors: Sequence[int] = ()) -> None:
        self.ran.append((job, argument))
        self.began.set()
        if len(self.ran) <= self.fails:
            raise Error("a child of the agent ended early")
        if self.stays:
            try:
                await asyncio.Event().wait()
            finally:
                self.killed = True
        with socket.fromfd(descriptors[0], socket.AF_INET6, socket.SOCK_STREAM) as listener:
            listener.setblocking(False)
            listener.accept()[0].close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        listener.setblocking(False)
        yield listener


async def call(listener: socket.socket) -> bytes:
    reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_nothing_runs_until_somebody_comes_and_then_each_time(listener: socket.socket) -> None:
    children = Children()
    port = ProxiedPort(children, listener, "tcp", "10.88.0.2", 80)
    await asyncio.sleep(0.05)
    assert children.ran == []
    assert [await call(listener) for _ in range(2)] == [b"", b""]
    assert children.ran == [("jackstay_agent.networks.proxy:serve", ["tcp", "10.88.0.2", 80])] * 2
    port.close()
    await port.closed()


async def test_a_child_that_breaks_is_followed_by_another(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxied, "_PAUSE", 0)
    children = Children(fails=2)
    port = ProxiedPort(children, listener, "tcp", "10.88.0.2", 80)
    assert await call(listener) == b""
    assert len(children.ran) == 3
    port.close()
    await port.closed()


async def test_the_child_is_gone_when_it_is_closed(listener: socket.socket) -> None:
    children = Children(stays=True)
    port = ProxiedPort(children, listener, "tcp", "10.88.0.2", 80)
    calling = asyncio.create_task(call(listener))
    await children.began.wait()
    port.close()
    await port.closed()
    assert children.killed
    calling.cancel()
