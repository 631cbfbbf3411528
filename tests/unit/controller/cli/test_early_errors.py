"""``--json`` is one array whatever happens, also when the command ends before a host was asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def failed(host: str, kind: str, message: str, hint: str = "") -> dict[str, Any]:
    error = {"kind": kind, "message": message, "hint": hint}
    return {"host": host, "ok": False, "outcome": "failed", "error": error, "data": []}


def test_each_host_that_was_chosen_has_failed(jackstay: Any, tmp_path: Path) -> None:
    missing = tmp_path / "none.tar"
    expected = [failed(host, "NOT_FOUND", f"{missing}: no such file", "check the path") for host in ("web1", "web2")]
    result = jackstay("-H", "web[1-2]", "--json", "load", "-i", str(missing))
    assert (result.code, result.json) == (1, expected)
    assert result.err == f"Error: {missing}: no such file\nHint: check the path\n"
    assert jackstay("copy", "--json", f"docker-archive:{missing}", "web[1-2]::").json == expected
    lines = jackstay("-H", "web1", "load", "-i", str(missing), "--jsonl").out.splitlines()
    assert list(map(json.loads, lines)) == [{key: expected[0][key] for key in ("host", "ok", "outcome", "error")}]
    result = jackstay("-H", "web1", "--json", "commit", "-c", "FROM x", "srv")
    assert [(one["host"], one["error"]["kind"]) for one in result.json] == [("web1", "INVALID_ARGUMENT")]


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("--json -H wep1 images", "USAGE", "wep1"),
        ("--json images --bogus", "USAGE", "No such option: --bogus"),
        ("images --bogus --json", "USAGE", "No such option: --bogus"),
        ("--json --bogus images", "USAGE", "No such option: --bogus"),
        ("--json imagess", "USAGE", "did you mean 'images'?"),
        ("run --json --bogus app:1", "USAGE", "No such option: --bogus"),
        ("copy --json nonsense web1::", "USAGE", "not HOSTS::IMAGE"),
        ("load --json -i x --platform a/b/c/d", "INVALID_ARGUMENT", "invalid platform"),
    ],
)
def test_a_wrong_line_is_of_no_host(jackstay: Any, line: str, kind: str, message: str) -> None:
    result = jackstay(*line.split())
    assert result.code == 2
    (element,) = result.json
    assert (element["host"], element["ok"], element["error"]["kind"]) == ("", False, kind)
    assert message in element["error"]["message"]
    assert message in result.err


def test_what_belongs_to_the_container_asks_for_nothing(jackstay: Any) -> None:
    for line in ("run --bogus app:1 command --json", "exec --bogus srv -- ls --json"):
        assert (jackstay(*line.split()).code, jackstay(*line.split()).out) == (2, "")
