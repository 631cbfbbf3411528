"""What an agent makes of a start that the one before it died in."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jackstay_agent.containers import recovery
from jackstay_agent.containers.engine import Entry
from jackstay_agent.containers.exits import Exit
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


async def test_one_that_ends_while_it_is_looked_for_keeps_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A monitor writes how it went, and then it ends: who finds it gone has the file, if he looks after that."""
    layout = Layout(str(tmp_path / "state"), str(tmp_path / "run"))
    os.makedirs(layout.exits)
    row = ContainerRow(ID, "n", "i", "sha256:1", "sha256:2", "s", "{}", "running", 1, monitor_pid=7, monitor_start=8)

    def gone(_pid: int, _start: int) -> bool:
        Path(layout.exit_file(ID)).write_text("7")
        return False

    codes: list[int | None] = []

    async def ended(_engine: object, _entry: Entry, _container: str, how: Exit) -> None:
        codes.append(how.code)

    monkeypatch.setattr(recovery.identity, "is_alive", gone)
    monkeypatch.setattr(recovery, "ended_locked", ended)
    engine = SimpleNamespace(layout=layout)
    await recovery._recover_live(engine, Entry(), row, False)  # type: ignore[arg-type]
    assert codes == [7]
