"""What becomes of a container that ends, starts or is to go when its row cannot be written, as on a full disk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jackstay_agent.containers import ending, recovery, restarter, retries, starting
from jackstay_agent.containers.engine import Engine, Entry, settings_of
from jackstay_agent.containers.exits import Exit
from jackstay_agent.containers.layout import Layout
from jackstay_agent.containers.removing import remove_locked
from jackstay_agent.containers.restarts import Restarts
from jackstay_agent.containers.retries import Retries
from jackstay_agent.errors import DiskFull, NotFound
from jackstay_agent.metadata.containers import ContainerRow

ID = "a" * 64
NOTHING = SimpleNamespace(stop=lambda _container: None, forget=lambda _container: None)


class Agent:
    """What `ending` sees of an engine: one container, and a disk on which *failures* writes find no room."""

    def __init__(self, folder: Path, failures: int = 0, **settings: Any) -> None:
        config = json.dumps({"image": "i", "name": "n", "hostname": "h", **settings})
        self.row: ContainerRow | None = ContainerRow(
            ID, "n", "i", "sha256:1", "sha256:2", "s", config, "running", 1, started=5
        )
        self.failures = failures
        self.wrong: list[str] = []  # what goes wrong when networks are left, one a try
        self.done: list[str] = []
        self.removed: ContainerRow | None = None  # as it was when it was removed
        self.the_entry = Entry()
        self.the_entry.labels = {}
        self.layout = Layout(str(folder / "state"), str(folder / "run"))
        self.entries: dict[str, Entry] = {}
        self.retries = Retries()
        self.restarts = Restarts(lambda _container: None)
        self.health_checks = self.exits = NOTHING
        self.snapshotter = SimpleNamespace(unmount=self._unmount, remove=self._remove)
        self.mounts = SimpleNamespace(unmount=self._unmount, mounted=self._none)
        self.monitors = SimpleNamespace(discard=self._unmount)
        self.networks = SimpleNamespace(disconnect=self._disconnect)
        self.volumes = SimpleNamespace(anonymous_of=self._none)
        self.database = SimpleNamespace(read=self._image)

    def entry(self, _container: str) -> Entry:
        return self.the_entry

    def let_drain(self, _entry: Entry) -> None:
        self.done.append("drain")

    def record(self, _kind: str, action: str, *_rest: Any) -> None:
        self.done.append(action)

    async def get(self, _container: str) -> ContainerRow:
        if self.row is None:
            raise NotFound("gone")
        return self.row

    async def change(self, label: str, _container: str, **values: Any) -> None:
        if self.failures:
            self.failures -= 1
            self.done.append(f"no room for {label}")
            raise DiskFull("no space left")
        assert self.row is not None
        self.row = replace(self.row, **values)
        self.done.append(label)

    async def _disconnect(self, _container: str) -> None:
        self.done.append("disconnect")
        if self.wrong:
            raise DiskFull(self.wrong.pop(0))

    async def _unmount(self, _path: str) -> None:
        pass

    async def _none(self, _of: str) -> list[str]:
        return []

    async def _image(self, _work: Callable[..., Any]) -> object:
        return object()

    async def _remove(self, _snapshot: str, *, along: Callable[..., Any]) -> None:
        self.removed, self.row = self.row, None


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST", 0.001)
    monkeypatch.setattr(retries, "LONGEST", 0.002)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.001)


def engine(agent: Agent) -> Engine:
    return agent  # type: ignore[return-value]


async def test_what_it_held_is_let_go_at_once_and_the_row_is_written_when_there_is_room(tmp_path: Path) -> None:
    agent = Agent(tmp_path, failures=3)
    over = agent.the_entry.over
    await ending.ended(engine(agent), ID, Exit(7, 9, oom=True))
    assert agent.done == ["disconnect", "drain", "no room for exited"]
    assert agent.row is not None
    assert agent.row.state == "running"
    assert not over.is_set()  # who waits is told what the row says
    async with asyncio.timeout(5):
        await over.wait()
    assert (agent.row.state, agent.row.exit_code, agent.row.finished, agent.row.oom) == ("exited", 7, 9, 1)
    assert agent.done[-3:] == ["exited", "oom", "die"]
    await agent.retries.close()


async def test_one_that_is_to_be_removed_goes_when_there_is_room(tmp_path: Path) -> None:
    agent = Agent(tmp_path, auto_remove=True)
    change, agent.change = agent.change, None  # type: ignore[assignment, method-assign]

    async def full_after_the_end(label: str, container: str, **values: Any) -> None:
        agent.failures = 1 if label == "removing" and "removing" not in seen else 0
        seen.append(label)
        await change(label, container, **values)

    seen: list[str] = []
    agent.change = full_after_the_end  # type: ignore[method-assign]
    await ending.ended(engine(agent), ID, Exit(0, 9, oom=False))
    assert (await agent.get(ID)).state == "exited"
    assert agent.the_entry.code == 0
    assert agent.the_entry.ends == 1
    await until(lambda: agent.row is None and agent.the_entry.gone)
    await agent.retries.close()


async def test_a_monitor_that_died_is_told_though_what_it_watched_is_gone_by_the_second_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent(tmp_path, failures=1)
    alive = [True]
    monkeypatch.setattr(ending.identity, "is_alive", lambda *_process: bool(alive) and alive.pop())
    await ending.ended(engine(agent), ID, Exit(None, 9, oom=False))
    await until(lambda: agent.row is not None and agent.row.state == "exited")
    assert agent.row is not None
    assert (agent.row.exit_code, "conmon" in agent.row.error) == (137, True)
    await agent.retries.close()


async def test_the_end_of_an_earlier_run_is_not_taken_for_that_of_a_later_one(tmp_path: Path) -> None:
    agent = Agent(tmp_path, failures=1)
    await ending.ended(engine(agent), ID, Exit(7, 9, oom=False))
    assert agent.row is not None
    agent.row = replace(agent.row, started=6)
    await until(lambda: not agent.retries._tasks)
    assert agent.row.state == "running"


async def test_what_could_not_be_let_go_is_let_go_later(tmp_path: Path) -> None:
    agent = Agent(tmp_path)
    agent.wrong = ["no space left", "no space left"]
    await ending.ended(engine(agent), ID, Exit(7, 9, oom=False))
    assert agent.row is not None
    assert (agent.row.state, agent.row.error) == ("exited", "no space left")
    await until(lambda: not agent.retries._tasks)
    assert agent.done.count("disconnect") == 3


async def test_a_container_that_cannot_be_recovered_is_recovered_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent(tmp_path, failures=1_000_000)
    agent.row = replace(await agent.get(ID), state="starting", finished=3)

    async def nothing(*_any: Any) -> None:
        return None

    async def every(_work: Callable[..., Any]) -> list[ContainerRow]:
        return [await agent.get(ID)]

    agent.database = SimpleNamespace(read=every)
    agent.runtime = SimpleNamespace(state=nothing)  # type: ignore[attr-defined]
    agent.exits = SimpleNamespace(open=nothing, settle=nothing, watches=lambda _container: False)
    monkeypatch.setattr(restarter, "plan_all", nothing)
    await recovery.recover(engine(agent))
    assert (await agent.get(ID)).state == "starting"
    agent.failures = 0
    await until(lambda: not agent.retries._tasks)
    assert (await agent.get(ID)).state == "exited"


async def test_no_try_comes_after_the_end_of_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST", 60)
    kept, tries = Retries(), []

    async def work() -> None:
        tries.append(1)

    kept.keep("it", work)
    await kept.close()
    assert tries == []


@pytest.mark.parametrize("volumes", [False, True])
async def test_an_agent_that_finishes_a_removal_knows_whether_volumes_go(tmp_path: Path, volumes: bool) -> None:
    agent = Agent(tmp_path)
    agent.row = replace(await agent.get(ID), state="exited")
    await remove_locked(engine(agent), agent.the_entry, await agent.get(ID), volumes=volumes)
    assert agent.removed is not None
    assert agent.removed.state == "removing"
    assert settings_of(agent.removed).auto_remove == volumes  # what `recovery` goes by


@pytest.mark.parametrize("mounted", [False, True])
async def test_a_start_that_failed_tells_only_of_volumes_that_were_mounted(tmp_path: Path, mounted: bool) -> None:
    agent = Agent(tmp_path, mounts=[{"type": "volume", "source": "v", "target": "/v"}])
    agent.row = replace(await agent.get(ID), state="created")
    plan: Any = None
    run = starting._Run(agent.row, settings_of(agent.row), plan, mounted=mounted)
    agent.row = replace(agent.row, state="starting")
    await starting._undo(engine(agent), agent.the_entry, run, DiskFull("no space left"))
    assert ("unmount" in agent.done) == mounted
    assert agent.row.state == "created"


async def test_a_start_that_failed_on_a_full_disk_is_undone_when_there_is_room(tmp_path: Path) -> None:
    agent = Agent(tmp_path, failures=2)
    agent.row = replace(await agent.get(ID), state="created")
    plan: Any = None
    run = starting._Run(agent.row, settings_of(agent.row), plan)
    agent.row = replace(agent.row, state="starting")
    await starting._undo(engine(agent), agent.the_entry, run, DiskFull("no space left"))
    assert agent.row.state == "starting"
    await until(lambda: not agent.retries._tasks)
    assert (agent.row.state, agent.row.error) == ("created", "no space left")
