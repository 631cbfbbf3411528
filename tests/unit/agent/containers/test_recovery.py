"""What an agent makes of a start that the one before it died in."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jackstay_agent.containers import recovery
from jackstay_agent.containers.engine import Entry
from jackstay_agent.containers.layout import Layout
from jackstay_agent.metadata.containers import ContainerRow

ID = "a" * 64


async def test_a_start_by_the_policy_that_went_on_is_not_to_come_any_more(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path / "state"), str(tmp_path / "run"))
    os.makedirs(layout.exits)
    os.makedirs(layout.bundle(ID))
    Path(layout.exit_file(ID)).write_text("0")  # it ran, and has ended meanwhile
    row = ContainerRow(
        ID, "n", "i", "sha256:1", "sha256:2", "s", "{}", "starting", 1, restart_at=5, restart_count=2, oom=1
    )
    changed: dict[str, Any] = {}

    async def change(_label: str, _container: str, **values: Any) -> None:
        changed.update(values)

    async def get(_container: str) -> ContainerRow:
        return row

    async def state(_container: str) -> None:
        return None

    entry, told = Entry(), []
    entry.labels = {}
    engine = SimpleNamespace(
        layout=layout,
        runtime=SimpleNamespace(state=state),
        change=change,
        get=get,
        entry=lambda _container: entry,
        record=lambda _kind, action, *_rest: told.append(action),
    )
    await recovery._recover_starting(engine, row, False)  # type: ignore[arg-type]
    assert changed["state"] == "running"
    assert (changed["restart_at"], changed["oom"]) == (0, 0)
    assert "restart_count" not in changed
    assert told == ["start"]  # what tells of its end comes after that
