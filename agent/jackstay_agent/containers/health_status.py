"""A container's health in its row, where ``ps`` reads it."""

from __future__ import annotations

from jackstay_agent.containers.engine import Engine
from jackstay_agent.containers.state import is_live
from jackstay_agent.errors import NotFound


async def changed(engine: Engine, container: str, status: str) -> None:
    """Note that *container*'s health is *status* now. No effect on one that has ended meanwhile."""
    try:
        async with engine.entry(container).lock:
            row = await engine.get(container)
            if is_live(row.state):
                await engine.change("health", container, health=status)
    except NotFound:
        return
