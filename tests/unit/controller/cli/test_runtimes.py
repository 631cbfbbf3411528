"""Runtimes that are older than fixes are told by ``host check``, and refused nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from jackstay.cli.output.runtimes import runtime_warning


@pytest.mark.parametrize(
    ("runtime", "fixed"),
    [
        ("crun 1.8.1", "1.28"), ("crun 1.27.1", "1.28"), ("crun 1.28", ""), ("crun 2.0", ""),
        ("runc 1.1.5+ds1", "1.3.6"), ("runc 1.3.5", "1.3.6"), ("runc 1.3.6", ""), ("runc 1.4.0", "1.4.3"),
        ("runc 1.4.3-rc1", ""), ("runc 1.5.0", ""), ("youki 0.1", ""), ("crun", ""), ("", ""),
    ],
)  # fmt: skip
def test_older_than_the_fixes(runtime: str, fixed: str) -> None:
    told = runtime_warning(runtime)
    assert (f"older than {fixed}," in told) if fixed else told == ""


def test_host_check_warns(jackstay: Any) -> None:
    result = jackstay("host", "check", "web[1-2]")
    assert result.code == 0
    assert [line.partition(" is older")[0] for line in result.err.splitlines()] == [
        "WARNING: web1: crun 1.8.1", "WARNING: web2: crun 1.8.1",
    ]  # fmt: skip
    (element,) = jackstay("--json", "host", "check", "web1").json
    assert [text.partition(" is")[0] for text in element["data"][0]["Warnings"]] == ["crun 1.8.1"]
