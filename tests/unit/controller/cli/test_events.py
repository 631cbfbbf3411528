"""``events`` as people and programs see it; the agents are only remembered, and two things have happened there."""

from __future__ import annotations

import json
from typing import Any

import pytest

LINE = f"2023-11-14T22:13:20.000000007Z container start {'c' * 64} (image=app:1, name=srv)"
PAST = ("events", "--since", "1", "--until", "0s")


def test_lines(jackstay: Any) -> None:
    result = jackstay("-H", "web1", *PAST)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [LINE, "2023-11-14T22:13:20.000000008Z volume prune "]
    several = jackstay("-H", "web[1-2]", *PAST)
    assert sorted(several.out.splitlines())[::2] == [f"web1: {LINE}", f"web2: {LINE}"]
    assert jackstay("-H", "web1", "system", *PAST).out == result.out
    assert jackstay("-H", "web1", "events", "--until", "0s").out == ""


def test_json(jackstay: Any) -> None:
    (one,) = jackstay("-H", "web1", "--json", *PAST).json
    assert one["data"][0] == {
        "status": "start",
        "id": "c" * 64,
        "from": "app:1",
        "Type": "container",
        "Action": "start",
        "Actor": {"ID": "c" * 64, "Attributes": {"image": "app:1", "name": "srv"}},
        "scope": "local",
        "time": 1_700_000_000,
        "timeNano": 1_700_000_000_000_000_007,
    }
    lines = [json.loads(line) for line in jackstay("-H", "web1", "--jsonl", *PAST).out.splitlines()]
    assert [line["data"]["Action"] for line in lines[:-1]] == ["start", "prune"]
    assert lines[-1]["outcome"] == "ok"


def test_format(jackstay: Any) -> None:
    template = "{{.Host}} {{.Type}} {{.Status}} {{.From}} {{.Actor.Attributes.name}} {{.Time}} {{.Scope}}"
    result = jackstay("-H", "web1", *PAST, "--format", template)
    assert result.out.splitlines() == [
        "web1 container start app:1 srv 1700000000 local",
        "web1 volume prune  <no value> 1700000000 local",
    ]
    (first, _) = jackstay("-H", "web1", *PAST, "--format", "json").out.splitlines()
    assert json.loads(first)["timeNano"] == 1_700_000_000_000_000_007
    assert "did you mean" in jackstay("-H", "web1", *PAST, "--format", "{{.Actoin}}").err


def test_a_host_that_fails_is_told_at_once_and_the_others_go_on(jackstay: Any) -> None:
    result = jackstay("-H", "web1,down", *PAST)
    assert LINE in result.out
    assert "Error: down refused the connection" in result.err
    assert result.code == 4
    alone = jackstay("-H", "web3", "events")
    assert (alone.code, alone.err) == (1, "Error: web3: the agent stops\n")


@pytest.mark.parametrize(
    ("flags", "words"), [(("--since", "soon"), "--since: 'soon'"), (("--format", "{{.Action"), "is not closed")]
)
def test_refused(jackstay: Any, flags: tuple[str, ...], words: str) -> None:
    result = jackstay("-H", "web1", "events", *flags)
    assert result.code == 2
    assert words in result.err
