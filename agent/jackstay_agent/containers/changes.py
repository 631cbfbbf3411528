"""diff: which paths a container has changed over its image."""

from __future__ import annotations

from jackstay_agent.containers.engine import Engine
from jackstay_agent.errors import WrongState
from jackstay_agent.layers.changes import Change


async def changes(engine: Engine, text: str) -> list[Change]:
    """The changes of the container that *text* means (id, start of one, name), by path; it may run or not.

    What is mounted into it is not its own, the folders that it lies on are. Raises `NotFound`, `Ambiguous`,
    `WrongState` for one that is being removed.
    """
    row = await engine.find(text)
    if row.state in ("removing", "dead"):
        raise WrongState(f"container {row.id} is being removed")
    return await engine.snapshotter.changes(row.snapshot)
