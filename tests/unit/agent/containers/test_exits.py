from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from jackstay_agent.containers import exits, identity
from jackstay_agent.containers.exits import Exit, Exits
from jackstay_agent.containers.layout import Layout


class Watched:
    def __init__(self, folder: Path) -> None:
        self.layout = Layout(str(folder / "state"), str(folder / "run"))
        self.exits = Exits(self.layout, self.report)
        self.reports: asyncio.Queue[tuple[str, Exit]] = asyncio.Queue()

    async def report(self, container: str, how: Exit) -> None:
        await self.reports.put((container, how))

    def end(self, container: str, text: str = "3") -> None:
        os.makedirs(self.layout.exits, exist_ok=True)
        new = os.path.join(self.layout.exits, f".{container}.new")
        Path(new).write_text(text)
        os.rename(new, self.layout.exit_file(container))


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    made = Watched(tmp_path)
    await made.exits.open()
    yield made
    await made.exits.close()


class Monitor:
    """A process in a conmon's place."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(["sleep", "60"])
        self.pid = self._process.pid
        self.started = identity.started(self.pid)

    def kill(self) -> None:
        self._process.kill()

    def reap(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    made = Monitor()
    yield made
    made.reap()


second = monitor


async def test_an_exit_file_is_reported_once(watched: Watched, monitor: Monitor) -> None:
    await watched.exits.watch("a", monitor.pid, monitor.started)
    watched.end("other")
    watched.end("a")
    container, how = await watched.reports.get()
    assert (container, how.code, how.oom) == ("a", 3, False)
    assert how.finished == os.stat(watched.layout.exit_file("a")).st_ctime_ns
    watched.end("a", "4")
    await asyncio.sleep(0.05)
    assert watched.reports.empty()


async def test_an_end_before_the_watch_is_reported(watched: Watched, monitor: Monitor) -> None:
    watched.end("a", "137")
    os.makedirs(watched.layout.persist("a"))
    Path(watched.layout.persist("a"), "oom").touch()
    await watched.exits.watch("a", monitor.pid, monitor.started)
    container, how = await watched.reports.get()
    assert (container, how.code, how.oom) == ("a", 137, True)


async def test_a_monitor_that_dies_without_a_word_is_reported(watched: Watched, monitor: Monitor) -> None:
    await watched.exits.watch("a", monitor.pid, monitor.started)
    monitor.kill()
    container, how = await watched.reports.get()
    assert (container, how.code) == ("a", None)


async def test_another_process_with_the_monitors_pid_is_not_taken_for_it(watched: Watched, monitor: Monitor) -> None:
    await watched.exits.watch("a", monitor.pid, monitor.started - 1)
    assert (await watched.reports.get())[1].code is None


async def test_what_is_forgotten_is_not_reported(watched: Watched, monitor: Monitor) -> None:
    await watched.exits.watch("a", monitor.pid, monitor.started)
    watched.exits.forget("a")
    watched.end("a")
    monitor.kill()
    await asyncio.sleep(0.05)
    assert watched.reports.empty()


async def test_files_that_cannot_be_read_for_a_while_are_reported_all_the_same(
    watched: Watched, monitor: Monitor, second: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watched.exits.watch("a", monitor.pid, monitor.started)
    await watched.exits.watch("b", second.pid, second.started)
    read, failures = exits.read_exit, 2

    def refused(layout: Layout, container: str) -> Exit | None:
        nonlocal failures
        if failures:
            failures -= 1
            raise OSError(24, "Too many open files")
        return read(layout, container)

    monkeypatch.setattr(exits, "read_exit", refused)
    monkeypatch.setattr(exits, "_PAUSE", 0.01)
    watched.end("a")
    while failures == 2:
        await asyncio.sleep(0.001)
    monitor.kill()
    async with asyncio.timeout(10):
        container, how = await watched.reports.get()
        assert (container, how.code) == ("a", 3)
        watched.end("b", "4")  # the others are still listened for
        container, how = await watched.reports.get()
        assert (container, how.code) == ("b", 4)
