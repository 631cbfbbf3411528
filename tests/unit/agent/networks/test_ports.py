"""Who holds which ports."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from jackstay_agent.containers.settings import Port
from jackstay_agent.errors import PortTaken
from jackstay_agent.networks import ports
from jackstay_agent.networks.ports import HeldPorts
from jackstay_agent.networks.ways import port_row


async def test_a_long_range_that_is_taken_is_tried_beside_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    going_on = threading.Event()

    def hold(_port: Any) -> Any:
        assert going_on.wait(10), "nothing else goes on meanwhile"
        raise PortTaken("ports 1-65535/tcp are all taken")

    monkeypatch.setattr(ports, "hold", hold)
    held = HeldPorts(None, None)  # type: ignore[arg-type]
    wanted = Port(container_port=80, host_port=1, host_port_end=65535)
    holding = asyncio.create_task(held.hold("c", "10.88.0.2", [wanted]))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(going_on.set)
    with pytest.raises(PortTaken, match="all taken"):
        await holding


@pytest.mark.parametrize("six", [False, True])
async def test_a_port_of_both_families_is_shown_for_each(monkeypatch: pytest.MonkeyPatch, six: bool) -> None:
    monkeypatch.setattr("jackstay_agent.networks.hold.socket.has_ipv6", six)
    monkeypatch.setattr(ports, "ProxiedPort", lambda *_of: Proxied())
    held = HeldPorts(None, None)  # type: ignore[arg-type]
    try:
        wanted = [Port(container_port=80), Port(container_port=81, host_ip="127.0.0.1")]
        bound = await held.hold("c", "10.88.0.2", wanted)
        rows = [port_row("c", port) for port in bound]
        assert [(row.host_ip, row.container_port) for row in held.shown(rows)] == [
            ("", 80),
            *([("::", 80)] if six else []),
            ("127.0.0.1", 81),
        ]
        await held.release("c")
        assert held.shown(rows) == rows
    finally:
        held.release_all()


class Proxied:
    """Stands in for `ProxiedPort`."""

    def close(self) -> None:
        pass

    async def closed(self) -> None:
        pass
