"""What ``docs/format.md`` shows is so: what its examples print, the fields, the functions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from jackstay.cli.output import headings
from jackstay.cli.output.go_values import Row
from jackstay.cli.output.template import parse_template
from jackstay.cli.output.template.functions import FUNCTIONS

TEXT = (Path(__file__).parents[5] / "docs/format.md").read_text()


def examples() -> list[tuple[str, str, dict[str, Any]]]:
    """Templates, what they print, and the object that stands above them."""
    found: list[tuple[str, str, dict[str, Any]]] = []
    shown: dict[str, Any] = {}
    for kind, block in re.findall(r"```(json|template)\n(.*?)```", TEXT, re.DOTALL):
        if kind == "json":
            shown = json.loads(block)
            if "Names" in shown:
                shown = Row(shown, dict(pair.split("=") for pair in shown["Labels"].split(",")))
            continue
        for example in block.strip("\n").split("\n\n"):
            template, _, printed = example.partition("\n→ ")
            found.append((template, printed, shown))
    return found


@pytest.mark.parametrize(("template", "printed", "shown"), examples())
def test_examples(template: str, printed: str, shown: dict[str, Any]) -> None:
    listing = isinstance(shown, Row)
    assert parse_template(template, listing=listing).render(shown).rstrip() == printed


def test_there_are_examples() -> None:
    assert len(examples()) > 15


@pytest.mark.parametrize(
    ("command", "titles"),
    [
        ("ps", headings.CONTAINER),
        ("images", headings.IMAGE),
        ("history", headings.HISTORY),
        ("volume ls", headings.VOLUME),
        ("network ls", headings.NETWORK),
        ("system df", headings.USAGE),
        ("system check", headings.FINDING),
        ("host ls", headings.HOST),
    ],
)
def test_fields(command: str, titles: headings.Titles) -> None:
    (line,) = re.findall(rf"^\| `{command}` \| `(.*)` \|$", TEXT, re.MULTILINE)
    assert line == " ".join(f".{name}" for name in sorted(titles))


def test_functions() -> None:
    section = TEXT.partition("| functions | |")[2].partition("\n## ")[0]
    told = [
        name for row in re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    ]
    assert sorted(told) == sorted(FUNCTIONS)


def test_the_error_that_it_shows() -> None:
    error, hint = re.findall(r"^(?:Error|Hint): (.*)$", TEXT, re.MULTILINE)
    with pytest.raises(Exception, match="unknown field") as raised:
        parse_template("{{.Name}}").check_fields({"Host", *headings.CONTAINER})
    assert (raised.value.message, raised.value.hint) == (error, hint)  # type: ignore[attr-defined]
