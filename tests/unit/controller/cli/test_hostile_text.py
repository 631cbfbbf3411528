"""Text of an image (its history, its labels, what an error quotes of it) must not drive the terminal that shows it.

The attack is seen to succeed when the test switches the defence off.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jackstay.cli import creating, update
from jackstay.cli.main import print_error
from jackstay.cli.output import formatted, table, units, view
from jackstay.cli.output.envelope import render_json, render_line
from jackstay.cli.output.safe_json import safe_json
from jackstay.cli.output.table import render_table
from jackstay.cli.output.view import field
from jackstay.library.bringing import Bringing

CLIPBOARD = "RUN true \x1b]52;c;cm0gLXJmIH4K\x07\x1b[2J\u202e\rRUN harmless"
"""Sets the clipboard, empties the screen, turns the direction of writing, and writes over its beginning."""
SHOWN = r"RUN true \x1b]52;c;cm0gLXJmIH4K\x07\x1b[2J\u202e\rRUN harmless"


def _off(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (table, view, formatted, units):
        monkeypatch.setattr(module, "printable", lambda text: text)


def test_in_a_table_and_in_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("web1", [{"created_by": CLIPBOARD}])]
    for off in (False, True):
        if off:
            _off(monkeypatch)
        told = [render_table(["CREATED BY"], [[CLIPBOARD]]), field("created_by").render(rows, several=True)]
        assert all((CLIPBOARD in text) == off for text in told)
        assert all((SHOWN in text) != off for text in told)


def test_in_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    print_error(f"web1: {CLIPBOARD}", CLIPBOARD)
    told = capsys.readouterr().err
    assert told == f"Error: web1: {SHOWN}\nHint: {SHOWN}\n"
    _off(monkeypatch)
    print_error(f"web1: {CLIPBOARD}")
    assert CLIPBOARD in capsys.readouterr().err


async def test_in_warnings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def made(_request: object) -> Any:
        return SimpleNamespace(warnings=[CLIPBOARD])

    agent: Any = SimpleNamespace(host=SimpleNamespace(name="web1"), containers=SimpleNamespace(create=made))
    request: Any = None
    bringing = Bringing(cast(Any, None), "never")
    for off in (False, True):
        if off:
            _off(monkeypatch)
        await creating.create(agent, request, None, bringing)
        update._warn("web1", CLIPBOARD)
        told = f"WARNING: web1: {CLIPBOARD if off else SHOWN}\n"
        assert capsys.readouterr().err == told * 2


@pytest.mark.parametrize("write", [render_line, lambda value: render_json([value]), safe_json])
def test_in_json(write: Callable[[Any], str]) -> None:
    value = {"name": f"{CLIPBOARD}\x9b2J\x9d52;c;\x7f\u2066\ud800 größe 大"}
    told = write(value)
    assert json.loads(told) in (value, [value])
    assert "größe 大" in told
    assert all(character.isprintable() or character == "\n" for character in told)
    assert told.encode()
