"""A container's health in its row, where ``ps`` reads it, and told as an event."""

from __future__ import annotations

from jackstay_agent.containers.engine import Engine
from jackstay_agent.containers.state import is_live
from jackstay_agent.containers.telling import tell
from jackstay_agent.errors import NotFound


async def changed(engine: Engine, container: str, status: str) -> None:
    """Note that *container*'s health is *status* now. No effect on one that has ended meanwhile."""
    entry = engine.entry(container)
    try:
        async with entry.lock:
            row = await engine.get(container)
            if is_live(row.state):
                await engine.change("health", container, health=status)
                await tell(engine, entry, row, f"health_status: {status}")
    except NotFound:
        return
