from __future__ import annotations

import re

import pytest

from jackstay_agent.errors import InvalidArgument
from jackstay_agent.metadata.volumes import VolumeRow
from jackstay_agent.volumes import names


@pytest.mark.parametrize("name", ["a", "data", "Data_1.2-3", "0", "a" * 255])
def test_names_of_dockers_rule_are_taken(name: str) -> None:
    assert names.checked(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "_a", "a/b", "../a", "/a", "a b", "a\n", "ä", "a" * 256])
def test_others_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="not a volume's name"):
        names.checked(name)


def test_anonymous_names_are_64_hexadecimal_digits() -> None:
    assert re.fullmatch("[0-9a-f]{64}", names.anonymous())
    assert names.anonymous() != names.anonymous()


ROWS = [
    VolumeRow("cache", 1, False, {"tier": "web"}, ("c1",)),
    VolumeRow("data", 2, False, {"tier": "db", "keep": ""}, ()),
    VolumeRow("f" * 64, 3, True, {}, ()),
]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], ["cache", "data", "f" * 64]),
        (["name=a"], ["cache", "data"]),
        (["name=cac", "name=dat"], ["cache", "data"]),
        (["dangling=true"], ["data", "f" * 64]),
        (["dangling=0"], ["cache"]),
        (["label=tier"], ["cache", "data"]),
        (["label=tier=db"], ["data"]),
        (["label=tier", "label=keep"], ["data"]),
        (["label=keep="], ["data"]),
        (["driver=local", "name=data"], ["data"]),
        (["driver=nfs"], []),
    ],
)
def test_filters(filters: list[str], expected: list[str]) -> None:
    assert [row.name for row in names.matching(ROWS, filters)] == expected


@pytest.mark.parametrize("bad", ["colour=red", "name", "dangling=perhaps", ""])
def test_an_unknown_filter_is_refused(bad: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid filter"):
        names.matching(ROWS, [bad])


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], ["cache", "data", "f" * 64]),
        (["label=tier"], ["cache", "data"]),
        (["label=tier", "label!=tier=db"], ["cache"]),
        (["label!=keep", "label!=tier=web"], ["f" * 64]),
    ],
)
def test_what_a_prune_may_take(filters: list[str], expected: list[str]) -> None:
    assert [row.name for row in names.prunable(ROWS, filters)] == expected


@pytest.mark.parametrize("bad", ["name=a", "label", "until=1h", ""])
def test_other_filters_of_a_prune_are_refused(bad: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid filter"):
        names.prunable((), [bad])
