"""`docs/security.md` is true: every test that it names exists, every class has one, every bound has its default."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import msgspec
import pytest

from jackstay_agent.config import Limits
from jackstay_oci import limits

HERE = Path(__file__).parent
TEXT = (HERE.parents[1] / "docs/security.md").read_text()
NAMED = re.compile(r"`([a-z_/.]+\.py)::(test_[a-z_]+)`")
UNITS = {"GiB": 1 << 30, "MiB": 1 << 20, "TiB": 1 << 40}


def number(text: str) -> int:
    amount, _, unit = text.replace(",", "").partition(" ")
    return int(amount) * UNITS.get(unit, 1)


@pytest.mark.parametrize("path", sorted({path for path, _ in NAMED.findall(TEXT)}))
def test_the_tests_exist(path: str) -> None:
    tree = ast.parse((HERE / path).read_text())
    known = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert {name for named, name in NAMED.findall(TEXT) if named == path} <= known


def test_every_class_has_a_test() -> None:
    classes = TEXT.partition("## Bounds")[0]
    rows = [line for line in classes.splitlines() if line.startswith("| ") and line != "| Class | Defence | Tests |"]
    assert len(rows) > 25
    assert [row for row in rows if not NAMED.search(row)] == []


def test_the_bounds_are_those_of_the_code() -> None:
    told = {
        name: number(value) for name, value in re.findall(r"^\| `(\w+)` \| ([\d,]+(?: \w+)?) \|", TEXT, re.MULTILINE)
    }
    assert told == msgspec.structs.asdict(Limits())
    told = {
        name: number(value)
        for name, value in re.findall(r"`(\w+)`\s(\d[\d,]*(?: [GMT]iB)?)", TEXT.partition("Of archives")[2])
    }
    assert {"ratio_after": limits.DEFAULT_LIMITS.ratio_after, **told} == {
        name: getattr(limits.DEFAULT_LIMITS, name) for name in limits.Limits.__dataclass_fields__
    }
