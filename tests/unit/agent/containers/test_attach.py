"""The shared connection to conmon, with a test's own socket in conmon's place."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jackstay_agent.containers import attach
from jackstay_agent.containers.attach import Hub
from jackstay_agent.errors import LimitExceeded, RuntimeFailed, WrongState


class Conmon:
    def __init__(self, bundle: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.setblocking(False)
        self.listener.bind(str(bundle / "attach"))
        self.listener.listen()

    async def accept(self) -> socket.socket:
        connection, _ = await asyncio.get_running_loop().sock_accept(self.listener)
        return connection


@pytest.fixture
async def conmon(tmp_path: Path) -> AsyncIterator[Conmon]:
    made = Conmon(tmp_path)
    yield made
    made.listener.close()


async def say(connection: socket.socket, data: bytes, stream: int = 2) -> None:
    await asyncio.get_running_loop().sock_sendall(connection, bytes([stream]) + data)


async def test_everyone_gets_everything(tmp_path: Path, conmon: Conmon) -> None:
    hub = Hub(str(tmp_path))
    both, errors = hub.join(), hub.join(stdout=False)
    await hub.open()
    connection = await conmon.accept()
    await say(connection, b"out")
    await say(connection, b"err", 3)
    await say(connection, b"?", 9)
    connection.close()
    assert [item async for item in both] == [("stdout", b"out"), ("stderr", b"err")]
    assert [item async for item in errors] == [("stderr", b"err")]
    await hub.close()
    assert [item async for item in hub.join()] == []


async def test_a_slow_client_makes_the_reader_wait_and_is_cut_off(
    tmp_path: Path, conmon: Conmon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach, "PATIENCE", 0.3)
    monkeypatch.setattr(attach, "BUFFER", 20_000)
    hub = Hub(str(tmp_path))
    slow, quick = hub.join(), hub.join()
    await hub.open()
    connection = await conmon.accept()
    sent = 0

    async def pour() -> None:
        nonlocal sent
        for _ in range(500):
            await say(connection, b"x" * 8000)
            sent += 8000
        connection.close()

    pouring = asyncio.create_task(pour())
    taken = 0
    async with asyncio.timeout(0.2):
        try:
            async for _stream, data in quick:
                taken += len(data)
        except asyncio.CancelledError:
            pass
    assert taken < 100_000  # the slow one held it back
    async for _stream, data in quick:
        taken += len(data)
    await pouring
    assert taken == sent == 4_000_000
    with pytest.raises(LimitExceeded, match="detached"):
        async for _ in slow:
            pass
    await hub.close()


async def test_input_waits_for_the_start_and_keeps_its_order(tmp_path: Path, conmon: Conmon) -> None:
    hub = Hub(str(tmp_path))

    async def feed() -> None:
        await hub.write(b"a" * 40_000)
        await hub.write(b"b")
        await hub.close_stdin()
        await hub.write(b"dropped")

    feeding = asyncio.create_task(feed())
    await asyncio.sleep(0.02)
    assert not feeding.done()
    await hub.open()
    connection = await conmon.accept()
    packets = []
    while packet := await asyncio.get_running_loop().sock_recv(connection, 65536):
        packets.append(packet)
    await feeding
    assert [len(packet) for packet in packets] == [32768, 40_000 - 32768, 1]
    connection.close()
    await hub.close()


async def test_closing_tells_clients_and_says_that_the_process_stays(tmp_path: Path, conmon: Conmon) -> None:
    hub = Hub(str(tmp_path))
    client = hub.join()
    await hub.open()
    connection = await conmon.accept()
    await hub.close()
    assert [item async for item in client] == []
    assert hub.left
    connection.close()


async def test_a_path_longer_than_a_socket_address_is_reached(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    link = tmp_path / "l"
    link.symlink_to(folder)
    made = Conmon(link)
    connection = await attach.connect(str(folder))
    connection.close()
    made.listener.close()


async def test_no_conmon_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailed):
        await attach.connect(str(tmp_path))
    with pytest.raises(RuntimeFailed):
        await attach.connect(str(tmp_path / "none"))
    with pytest.raises(WrongState):
        await asyncio.to_thread(attach.resize, str(tmp_path), 1, 1)
