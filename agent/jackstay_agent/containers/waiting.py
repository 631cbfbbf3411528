"""wait: until a container ends, ends next, or is removed."""

from __future__ import annotations

from jackstay_agent.containers import state
from jackstay_agent.containers.engine import Engine, Entry
from jackstay_agent.errors import InvalidArgument
from jackstay_agent.metadata.containers import ContainerRow

CONDITIONS = ("not-running", "next-exit", "removed")


async def wait(engine: Engine, text: str, condition: str) -> int:
    """Wait for "not-running" (also ""), "next-exit" or "removed" of the container; its exit code.

    Raises `NotFound`, `InvalidArgument`.
    """
    if (condition or CONDITIONS[0]) not in CONDITIONS:
        raise InvalidArgument(f"invalid condition: {condition[:40]!r}", hint=f"it is one of {', '.join(CONDITIONS)}")
    found = await engine.find(text)
    entry = engine.entry(found.id)
    seen = entry.ends  # before the row is read, so that an end in between is not waited for twice
    row = await engine.get(found.id)
    if condition != "removed":
        return await _exit(entry, seen, row, next_one=condition == "next-exit")
    while not entry.gone:
        await entry.changed()
    return entry.code if entry.ends else row.exit_code or 0


async def _exit(entry: Entry, seen: int, row: ContainerRow, *, next_one: bool) -> int:
    if not next_one and not (state.is_live(row.state) or state.of(row) in ("starting", "restarting")):
        return row.exit_code or 0
    while entry.ends == seen and not entry.gone:
        await entry.changed()
    return entry.code
