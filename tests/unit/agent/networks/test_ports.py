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
