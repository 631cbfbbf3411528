"""A port of the loopback whose connections are carried to a host's registry: both ways through SSH, and here."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from jackstay.client import connect
from jackstay.errors import Error, Unreachable, UsageError
from jackstay.inventory.host import Host, local_host
from jackstay.library.registry_expose import bind
from jackstay.tunnel import open_tunnel, socket_owner
from jackstay.tunnel.ways import dial_command

MIB = 1 << 20


class Backwards:
    """A server in the registry's place that answers once the client has said everything."""

    def __init__(self, agent: str) -> None:
        self.path = os.path.join(os.path.dirname(agent), "registry.sock")
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.got = 0

    async def __aenter__(self) -> Backwards:
        self.server = await asyncio.start_unix_server(self.serve, self.path, limit=1 << 16)
        return self

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = bytearray()
        while True:
            await self.may_read.wait()
            piece = await reader.read(1 << 16)
            if not piece:
                break
            self.got += len(piece)
            data += piece
        writer.write(bytes(data[::-1]))
        writer.close()

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await self.server.wait_closed()
        await asyncio.to_thread(Path(self.path).unlink, missing_ok=True)


async def talk(address: str, data: bytes) -> bytes:
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def silent(error: Error) -> None:
    raise AssertionError(error)


@pytest.fixture(params=["direct", "dialled", "local"])
async def host(request: pytest.FixtureRequest, lab: Any) -> Host:
    lab.forward = request.param != "dialled"
    return local_host(lab.agent.socket) if request.param == "local" else lab.host()


async def test_what_comes_to_the_port_is_carried_to_the_registry(lab: Any, host: Host) -> None:
    data = os.urandom(3 * MIB)
    async with Backwards(lab.agent.socket), await connect(host, lab.settings()) as agent:
        async with agent.exposed_registry(bind(0), silent) as exposure:
            assert exposure.address.startswith("127.0.0.1:")
            assert await talk(exposure.address, data) == data[::-1]
            answers = await asyncio.gather(*(talk(exposure.address, bytes([n]) * 999) for n in range(20)))
            assert answers == [bytes([n]) * 999 for n in range(20)]
        with pytest.raises(ConnectionError):
            await talk(exposure.address, b"")
        assert await agent.system.version(_version())  # the agent itself is still reached
    assert lab.opened == (0 if host.kind == "local" else 1)


def _version() -> Any:
    from jackstay.client.messages import VersionRequest

    return VersionRequest()


@pytest.mark.parametrize("host", ["direct", "local"], indirect=True)  # the fake server's sessions hold what they get
async def test_a_registry_that_reads_slowly_slows_who_sends(lab: Any, host: Host) -> None:
    async with (
        Backwards(lab.agent.socket) as registry,
        await open_tunnel(host, lab.settings(window=MIB)) as tunnel,
    ):
        registry.may_read.clear()
        exposure = await tunnel.expose_registry(bind(0), silent)
        _, writer = await asyncio.open_connection(*exposure.address.split(":"))
        writer.transport.set_write_buffer_limits(high=MIB)
        sent = 0
        while sent < 256 * MIB:
            writer.write(bytes(MIB))
            try:
                await asyncio.wait_for(writer.drain(), 1)
            except TimeoutError:
                break
            sent += MIB
        assert sent < 64 * MIB
        writer.transport.abort()
        registry.may_read.set()
        await exposure.close()


async def test_a_host_without_a_registry(lab: Any, host: Host) -> None:
    async with await open_tunnel(host, lab.settings()) as tunnel:
        listener = bind(0)
        with pytest.raises(Unreachable) as caught:
            await tunnel.expose_registry(listener, silent)
        listener.close()
    assert caught.value.kind == "no-agent"
    assert "serves no registry" in caught.value.message
    assert "registry.sock" in caught.value.message


async def test_a_connection_that_cannot_be_carried_is_told_and_the_next_one_is(lab: Any, host: Host) -> None:
    told: list[Error] = []
    async with await open_tunnel(host, lab.settings()) as tunnel:
        async with Backwards(lab.agent.socket):
            exposure = await tunnel.expose_registry(bind(0), told.append)
        try:
            assert await talk(exposure.address, b"") == b""
        except ConnectionError:  # closed before or after it was asked
            pass
        assert [isinstance(error, Unreachable) and error.kind for error in told] == ["no-agent"]
        async with Backwards(lab.agent.socket):
            assert await talk(exposure.address, b"abc") == b"cba"


async def test_another_user_of_this_machine_is_refused(lab: Any, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Error] = []
    async with Backwards(lab.agent.socket) as registry, await open_tunnel(host, lab.settings()) as tunnel:
        exposure = await tunnel.expose_registry(bind(0), told.append)
        monkeypatch.setattr("jackstay.tunnel.exposure.owner_of", lambda near, far: 4242)
        try:
            assert await talk(exposure.address, b"abc") == b""
        except ConnectionError:
            pass
        assert registry.got == 0
    assert ["uid 4242" in error.message for error in told] == [True]


async def test_whose_a_connection_is() -> None:
    listener = bind(0)
    try:
        with socket.create_connection(listener.getsockname()) as client:
            accepted, where = listener.accept()
            with accepted:
                assert where == client.getsockname()
                owner = await asyncio.to_thread(socket_owner.owner_of, where, accepted.getsockname())
                assert owner == os.geteuid()
                nobody = await asyncio.to_thread(socket_owner.owner_of, ("127.0.0.9", 1), ("127.0.0.1", 1))
                assert nobody is None
    finally:
        listener.close()
    assert [socket_owner.may_use(owner, 1000) for owner in (None, 0, 1000, 1001)] == [True, True, True, False]


async def test_a_lost_connection_is_told(lab: Any) -> None:
    async with Backwards(lab.agent.socket), await open_tunnel(lab.host(), lab.settings()) as tunnel:
        exposure = await tunnel.expose_registry(bind(0), silent)
        losing = asyncio.create_task(exposure.lost())
        await asyncio.sleep(0)
        for connection in list(lab.connections):
            connection.abort()
        error = await losing
    assert (error.kind, "web1" in error.message) == ("lost", True)


async def test_closing_the_tunnel_closes_the_port(lab: Any, host: Host) -> None:
    async with Backwards(lab.agent.socket):
        async with await open_tunnel(host, lab.settings()) as tunnel:
            exposure = await tunnel.expose_registry(bind(0), silent)
        with pytest.raises(ConnectionError):
            await talk(exposure.address, b"")


def test_the_port_is_on_the_loopback_alone_and_one_that_is_taken_is_said() -> None:
    listener = bind(0)
    try:
        address, port = listener.getsockname()
        assert address == "127.0.0.1"
        with pytest.raises(UsageError, match=f"port {port} of this machine is taken"):
            bind(port)
        with pytest.raises(UsageError, match="70000 is no port"):
            bind(70_000)
    finally:
        listener.close()


def test_only_the_agents_own_sockets_are_dialled() -> None:
    assert dial_command("/run/jackstay/jackstayd.sock", sudo=True).endswith("sudo -n jackstayd dial-stdio'")
    registry = dial_command("/run/jackstay/jackstayd.sock", sudo=True, registry=True)
    assert registry.endswith("sudo -n jackstayd dial-stdio --registry'")
    other = dial_command("/srv/a/s", sudo=False, registry=True)
    assert "jackstayd dial-stdio --socket /srv/a/s --registry" in other
    assert "[ ! -S /srv/a/registry.sock ]" in other
