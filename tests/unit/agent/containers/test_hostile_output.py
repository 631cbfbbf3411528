"""A container that writes more than its readers read: the attack succeeds when the test takes the bound away."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from jackstay_agent.containers import attach
from jackstay_agent.containers.attach import Hub
from tests.unit.agent.containers.test_attach import Conmon, conmon, say

__all__ = ["conmon"]
FLOOD = 8 << 20


async def test_output_that_nobody_reads_fills_no_memory(
    tmp_path: Path, conmon: Conmon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CVE-2022-31030, CVE-2025-64329."""
    held = []
    for bound in (attach.BUFFER, 1 << 40):
        monkeypatch.setattr(attach, "BUFFER", bound)
        hub = Hub(str(tmp_path))
        idle = hub.join()
        await hub.open()
        connection = await conmon.accept()
        pouring = asyncio.create_task(pour(connection))
        await asyncio.wait([pouring], timeout=1 if bound == 1 << 20 else 30)
        await asyncio.sleep(0.3)  # what is in the socket is not with the client yet
        held.append(sum(len(data) for _stream, data in idle._chunks))
        pouring.cancel()
        await asyncio.wait([pouring])
        connection.close()
        await hub.close()
    assert (1 << 20) <= held[0] < (1 << 20) + attach._PACKET
    assert held[1] == FLOOD


async def pour(connection: socket.socket) -> None:
    for _ in range(FLOOD // 8192):
        await say(connection, b"x" * 8192)
