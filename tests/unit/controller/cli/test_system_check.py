"""``system check`` as people and programs see it; the agents are only remembered, and web2 has something to tell."""

from __future__ import annotations

import json
from typing import Any


def test_in_text(jackstay: Any) -> None:
    result = jackstay("-H", "web1", "system", "check")
    assert (result.code, result.out) == (0, "2 blobs (1kB), 1 layer, 1 image checked: nothing is wrong\n")
    result = jackstay("-H", "web2", "system", "check")
    assert result.code == 1
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert lines == [
        "KIND THING NAME DETAIL TO DO",
        f"missing blob sha256:{'d' * 64} app:1 needs it load app:1 again",
        "2 blobs (1kB), 1 layer, 1 image checked: 1 found, 0 repaired",
    ]
    assert result.err.startswith("Error: web2: check: 1 thing left to do, the first: blob sha256:ddd")


def test_what_was_found_on_a_host_is_told_with_its_failure(jackstay: Any) -> None:
    sound, damaged = jackstay("-H", "web[1-2]", "--json", "system", "check").json
    assert (sound["ok"], sound["data"]) == (True, [])
    assert (damaged["outcome"], damaged["error"]["kind"]) == ("failed", "DAMAGED")
    assert [item["Detail"] for item in damaged["data"]] == ["app:1 needs it"]

    result = jackstay("-H", "web2", "--jsonl", "system", "check")
    item, end = (json.loads(line) for line in result.out.splitlines())
    assert (item["host"], item["data"]["Kind"]) == ("web2", "missing")
    assert (end["outcome"], end["error"]["kind"], result.code) == ("failed", "DAMAGED", 1)


def test_by_a_template(jackstay: Any) -> None:
    result = jackstay("-H", "web[1-2]", "system", "check", "--format", "{{.Host}} {{.Kind}} {{.Repaired}}")
    assert (result.code, result.out) == (1, "web2 missing false\n")
    result = jackstay("-H", "web1", "system", "check", "--format", "{{.Nam}}")
    assert (result.code, result.out) == (2, "")
    assert "did you mean .Name?" in result.err
