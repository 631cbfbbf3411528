"""``push``: what it refuses before any host is asked, and how a failure is told."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-H", "web[1-2]", "push", "r.example/app:1"), "push works on one host, 2 were chosen"),
        (
            ("-H", "web1", "push", "--compression", "xz", "r.example/app:1"),
            "--compression 'xz': not gzip, zstd or none",
        ),
        (("-H", "web1", "push", "-a", "r.example/app:1"), "neither a tag nor a destination goes with --all-tags"),
        (("-H", "web1", "push", "-a", "r.example/app", "r.example/b"), "neither a tag nor a destination goes"),
        (("-H", "web1", "push", "R.example/App"), "must be lower case"),
        (("-H", "web1", "push", "--platform", "linux/a/b/c", "r.example/app"), "invalid platform"),
    ],
)
def test_what_cannot_be_pushed_is_refused_at_once(jackstay: Any, arguments: tuple[str, ...], told: str) -> None:
    result = jackstay(*arguments)
    assert result.code == 2, result
    assert told in result.err


def test_what_the_registry_says_is_told_with_the_host(jackstay: Any) -> None:
    result = jackstay("-H", "web1", "push", "registry.example/app:1")
    assert result.code == 1
    assert result.out == ""
    assert "Error: web1: the registry cannot be reached" in result.err
    assert "check the network" in result.err


def test_a_failure_is_an_element_of_json(jackstay: Any) -> None:
    (element,) = jackstay("-H", "web1", "push", "--json", "registry.example/app:1").json
    assert (element["host"], element["ok"], element["data"]) == ("web1", False, [])
    assert element["error"]["kind"] == "REGISTRY_FAILED"
