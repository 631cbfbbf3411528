"""The registry's socket before, while and after what answers on it is loaded."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from tests.unit.agent.registry_server.registry_host import RegistryHost


async def test_whoever_calls_while_it_is_loaded_is_answered(registry: RegistryHost) -> None:
    answers = await asyncio.gather(*(registry.ask("GET", "/v2/") for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert registry.busy == 0


async def test_it_ends_though_nobody_called(registry: RegistryHost) -> None:
    await registry.server.close()
    await registry.server.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_unix_connection(str(registry.path))


async def test_callers_are_refused_when_it_cannot_be_loaded(
    registry: RegistryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jackstay_agent.registry_server.server", None)
    with socket.socket(socket.AF_UNIX) as early, socket.socket(socket.AF_UNIX) as late:
        for caller in (early, late):
            caller.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(early, str(registry.path))
        with pytest.raises(ConnectionResetError):
            await loop.sock_recv(early, 1)
        with pytest.raises(ConnectionRefusedError):
            await loop.sock_connect(late, str(registry.path))
