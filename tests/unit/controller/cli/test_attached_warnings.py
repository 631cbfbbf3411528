"""What did not come with an image is told on stderr, by who tells it."""

from __future__ import annotations

import pytest

from jackstay.cli.attached_warnings import warned
from jackstay.fleet import FleetResult, Outcome


def test_each_warning_is_a_line_with_its_host(capsys: pytest.CaptureFixture[str]) -> None:
    objects = [{"warnings": ["a signature stayed behind", "web1 said\x1b[2J no"]}, {}, {"warnings": []}]
    result = FleetResult((Outcome("web1", "ok", objects), Outcome("web2", "unreachable")))
    assert warned(result) is result
    out, err = capsys.readouterr()
    assert out == ""
    first, second = err.splitlines()
    assert first == "WARNING: web1: a signature stayed behind"
    assert second.startswith("WARNING: web1 said")
    assert "\x1b" not in second
