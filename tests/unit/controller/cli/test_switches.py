"""Switches with values on the command line."""

from __future__ import annotations

import pytest

from jackstay.cli.commands import ROOT
from jackstay.cli.lazy import load
from jackstay.cli.switches import without_values


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("--rm=true --init=false -d=1 --read-only=F app", "--rm -d app"),
        ("-it=true app", "-i -t app"),
        ("-it=false app", "-i app"),
        ("-dit app", "-dit app"),
        ("--sig-proxy=false --no-sig-proxy=false app", "--no-sig-proxy --sig-proxy app"),
        ("--rm=maybe app", "--rm=maybe app"),
        ("--name --rm=true app", "--name --rm=true app"),
        ("--name=--rm=true -e A=true app", "--name=--rm=true -e A=true app"),
        ("-de --rm=true app", "-de --rm=true app"),
        ("-deA=true --rm=true app", "-deA=true --rm app"),
        ("-p 80:80 --rm=true app", "-p 80:80 --rm app"),
        ("app tool --rm=true", "app tool --rm=true"),
        ("-- app --rm=true", "-- app --rm=true"),
        ("- --rm=true", "- --rm=true"),
        ("--json=true app", "--json app"),
    ],
)
def test_of_run(line: str, read: str) -> None:
    options = load("run", ROOT["run"]).params  # type: ignore[arg-type]
    assert without_values(line.split(), options, interspersed=False) == read.split()


def test_after_arguments() -> None:
    options = load("rm", ROOT["rm"]).params  # type: ignore[arg-type]
    assert without_values(["app", "-f=true", "-v=false"], options, interspersed=True) == ["app", "-f"]
