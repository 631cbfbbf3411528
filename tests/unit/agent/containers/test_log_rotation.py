"""Rotation, with a conmon that does what it is told when the test says so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jackstay_agent.containers import log_files, log_rotation
from jackstay_agent.containers.log_options import LogOptions


class Conmon:
    """Writes to a log; `obey` is what the real one does with its control pipe."""

    def __init__(self, folder: Path) -> None:
        self.ctl = folder / "ctl"
        os.mkfifo(self.ctl)
        self._ctl = os.open(self.ctl, os.O_RDWR | os.O_NONBLOCK)
        self.path = folder / "log"
        self._log = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.written = 0

    def write(self, lines: int) -> None:
        """That many lines of 10 bytes."""
        for _ in range(lines):
            os.write(self._log, b"%09d\n" % self.written)
            self.written += 1

    def obey(self) -> int:
        """How often it was told to open a new file; done."""
        told = self.hear()
        self.open(told)
        return told

    def hear(self) -> int:
        """How often it was told to open a new file; it is at it."""
        try:
            return os.read(self._ctl, 4096).count(b"2 0 0\n")
        except BlockingIOError:
            return 0

    def open(self, times: int = 1) -> None:
        """Open a new file."""
        for _ in range(times):
            os.close(self._log)
            self._log = os.open(f"{self.path}.tmp", os.O_WRONLY | os.O_TRUNC | os.O_CREAT)
            os.rename(f"{self.path}.tmp", self.path)

    def close(self) -> None:
        """It ends."""
        os.close(self._ctl)
        os.close(self._log)

    def kept(self) -> list[int]:
        """The lines that can be read."""
        files = [*(log_files.numbered(str(self.path), n) for n in log_files.numbers(str(self.path))), str(self.path)]
        return [int(line) for file in files if os.path.exists(file) for line in Path(file).read_text().splitlines()]


@pytest.fixture
def conmon(tmp_path: Path) -> Iterator[Conmon]:
    """One that runs."""
    made = Conmon(tmp_path)
    yield made
    made.close()


def watched(conmon: Conmon, files: int) -> log_rotation._Watched:
    return log_rotation._Watched(str(conmon.path), str(conmon.ctl), LogOptions(size=100, files=files))


@pytest.mark.parametrize("files", [1, 2, 3, 50])
def test_no_line_is_lost_or_there_twice_within_the_bound(conmon: Conmon, files: int) -> None:
    log = watched(conmon, files)
    for step in range(1, 100):
        conmon.write(step % 7)
        log_rotation.look(log, float(step))
        conmon.write(step % 3)  # before it looks at what it was told
        told = conmon.obey()
        log_rotation.look(log, step + 0.5)
        told += conmon.obey()
        assert told <= 1
        kept = conmon.kept()
        assert kept == list(range(conmon.written - len(kept), conmon.written))
        assert len(log_files.numbers(str(conmon.path))) <= max(1, files - 1)
        if files == 50:
            assert len(kept) == conmon.written
    log_rotation.look(log, 200.0)
    assert len(log_files.numbers(str(conmon.path))) <= files - 1
    assert len(log_files.numbers(str(conmon.path))) >= min(files - 1, 10)


def test_conmon_is_told_once_by_an_agent_and_by_the_next_only_when_it_was_not(conmon: Conmon) -> None:
    log = watched(conmon, 3)
    conmon.write(10)
    log_rotation.look(log, 1.0)
    for moment in range(2, 100):  # it is slow
        log_rotation.look(log, float(moment))
    assert conmon.obey() == 1

    conmon.write(10)
    log_rotation.look(log, 101.0)
    for moment in range(102, 130):  # the next agent finds what conmon has not read yet
        log_rotation.look(watched(conmon, 3), float(moment))
    assert conmon.obey() == 1

    conmon.path.rename(f"{conmon.path}.3")  # an agent that died before it told
    log = watched(conmon, 3)
    for moment in range(200, 300):
        assert log_rotation.look(log, float(moment)) is not None
        assert conmon.obey() == 0  # perhaps conmon is at it
    conmon.write(1)  # it is not
    log_rotation.look(log, 300.0)
    conmon.write(1)
    assert conmon.obey() == 1
    conmon.write(1)
    assert conmon.kept() == list(range(23))


def test_a_conmon_that_waits_for_the_disk_is_not_told_again_by_the_next_agent(conmon: Conmon) -> None:
    """It would put another file over the one that it makes, and what it has written to that by then were lost."""
    conmon.write(10)
    log_rotation.look(watched(conmon, 3), 1.0)
    assert conmon.hear() == 1
    log = watched(conmon, 3)
    for moment in range(2, 100):
        log_rotation.look(log, float(moment))
    conmon.open()
    conmon.write(5)
    assert conmon.obey() == 0
    log_rotation.look(log, 100.0)
    assert conmon.kept() == list(range(15))


def test_a_log_is_looked_at_the_sooner_the_faster_it_grows(conmon: Conmon) -> None:
    log = watched(conmon, 2)
    assert log_rotation.look(log, 1.0) == log_rotation._LATEST
    conmon.write(2)
    assert log_rotation.look(log, 2.0) == log_rotation._LATEST  # 20 bytes a second, 80 are left
    conmon.write(6)
    wait = log_rotation.look(log, 3.0)
    assert wait == pytest.approx(20 / 60)


def test_it_ends_with_conmon(tmp_path: Path) -> None:
    conmon = Conmon(tmp_path)
    log = watched(conmon, 2)
    conmon.write(20)
    conmon.close()
    assert log_rotation.look(log, 1.0) is None
    assert conmon.kept() == list(range(20))


def test_without_room_nothing_is_rotated(conmon: Conmon, monkeypatch: pytest.MonkeyPatch) -> None:
    log = watched(conmon, 3)
    conmon.write(10)
    opened = os.open

    def full(path: str, flags: int, *rest: int) -> int:
        if path.endswith(".tmp"):
            raise OSError(28, "No space left on device")
        return opened(path, flags, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        assert log_rotation.look(log, 1.0) == log_rotation._LATEST
    assert (conmon.obey(), log_files.numbers(str(conmon.path))) == (0, [])
    log_rotation.look(log, 2.0)
    assert conmon.obey() == 1
    assert conmon.kept() == list(range(10))
