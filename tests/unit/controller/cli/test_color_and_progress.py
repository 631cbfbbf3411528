"""Colour decisions, and the plain line of progress."""

from __future__ import annotations

import asyncio
import io

import pytest
from rich.console import Console
from rich.progress import Progress, ProgressSample

from jackstay.cli import progress as shown
from jackstay.cli.color import decide
from jackstay.copying.progress import CopyProgress


@pytest.mark.parametrize(
    ("when", "environ", "terminal", "color"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, True, False),
        ("auto", {"CLICOLOR_FORCE": "1"}, False, True),
        ("auto", {"CLICOLOR": "0"}, True, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"CLICOLOR_FORCE": "1"}, True, False),
    ],
)
def test_color(when: str, environ: dict[str, str], terminal: bool, color: bool) -> None:
    assert decide(when, environ, terminal) is color


def test_plain_line() -> None:
    progress = CopyProgress()
    web1 = progress.host("web1")
    assert shown.progress_line(progress) == "0 of 1 host done"
    web1.total = 3_400_000
    progress.host("web1").current = 1_200_000
    assert shown.progress_line(progress) == "1.2MB of 3.4MB, 0 of 1 host done"
    progress.host("web2").finished = True
    assert shown.progress_line(progress) == "1.2MB of 3.4MB, 1 of 2 hosts done"


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_bar_is_one_line(width: int) -> None:
    console = Console(width=width, file=io.StringIO())
    bars = Progress(*shown.bar_columns(), console=console)
    task = bars.add_task("  web1 receiving", total=60_100_000)
    bars.update(task, completed=34_600_000)
    bars.tasks[0]._progress.extend([ProgressSample(0, 0), ProgressSample(1, 104_000_000)])
    assert len(console.render_lines(bars.get_renderable(), pad=False)) == 1


async def test_lines_come_only_when_wanted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shown, "LINE_EVERY", 0.02)
    async with shown.showing(CopyProgress(), quiet=True):
        await asyncio.sleep(0.1)
    assert capsys.readouterr().err == ""
    async with shown.showing(CopyProgress(), quiet=False):
        await asyncio.sleep(0.1)
    out, err = capsys.readouterr()
    assert out == ""
    assert "0 of 0 hosts done" in err
