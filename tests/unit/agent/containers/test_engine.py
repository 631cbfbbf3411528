"""What the verbs share."""

from __future__ import annotations

from types import SimpleNamespace

from jackstay_agent.containers.engine import Engine, Entry
from jackstay_agent.metadata.containers import ContainerRow

ID = "a" * 64


async def test_the_end_of_a_run_is_not_taken_for_that_of_the_one_after_it() -> None:
    """A run begins while its row is read: who follows it must not be told that it is over."""
    entry = Entry()
    entry.begin()
    entry.end(0)
    starts = [1]

    async def get(_container: str) -> ContainerRow:
        if starts:
            starts.pop()
            entry.begin()
        return ContainerRow(ID, "n", "i", "sha256:1", "sha256:2", "s", "{}", "running", 1)

    engine = SimpleNamespace(entry=lambda _container: entry, get=get)
    row, over = await Engine.run_of(engine, ID)  # type: ignore[arg-type]
    assert row.state == "running"
    assert not over.is_set()
    entry.end(1)
    assert over.is_set()
