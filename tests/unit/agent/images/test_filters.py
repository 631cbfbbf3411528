"""The filters of images and image prune; pure."""

from __future__ import annotations

import time

import pytest

from jackstay_agent.errors import InvalidArgument
from jackstay_agent.images import filters
from jackstay_agent.images.filters import LIST, PRUNE, parse, pattern

NOW = 1_700_000_000 * 10**9


@pytest.mark.parametrize(
    ("text", "fits", "unfit"),
    [
        ("web", ["web"], ["web:1", "aweb", "webb"]),
        ("*", ["web", "web:1", ""], ["a/web"]),
        ("*/web", ["a/web"], ["web", "a/b/web"]),
        ("w?b:*", ["web:1", "wxb:"], ["w/b:1", "wb:1"]),
        ("*a*b*c", ["abc", "xaxbxbxc", "aabbcc"], ["acb", "a/b/c"]),
        ("a*/b*", ["a/b", "ax/bx"], ["a/x/b"]),
        ("[ab]x[0-9]", ["ax1", "bx9"], ["cx1", "axx"]),
        ("[^a-c]x", ["dx"], ["ax", "/x"]),
        (r"[\]a]", ["]", "a"], ["b"]),
        (r"\*[\-]", ["*-"], ["a-"]),
        ("a.c+", ["a.c+"], ["abc+", "a.cc"]),
        ("[z-a]", [], ["a", "z"]),
        ("", [""], ["a"]),
    ],
)  # fmt: skip
def test_patterns_are_those_of_path_match(text: str, fits: list[str], unfit: list[str]) -> None:
    found = pattern(text)
    assert [name for name in fits if not found.fullmatch(name)] == []
    assert [name for name in unfit if found.fullmatch(name)] == []


@pytest.mark.parametrize("text", ["[", "[a", "[]a]", "[a-]", "[-a]", "a\\", "[\\", "[^]", "a" * 5000])
def test_bad_patterns(text: str) -> None:
    with pytest.raises(InvalidArgument):
        pattern(text)


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    begin = time.monotonic()
    assert pattern("*a" * 2000 + "b").fullmatch("a" * 4000) is None
    assert time.monotonic() - begin < 2


def test_labels() -> None:
    wanted = parse(["label=a", "label=b=2"], LIST, now=NOW)
    assert wanted.labels_fit({"a": "", "b": "2", "c": "3"})
    assert not wanted.labels_fit({"a": "", "b": "3"})
    assert not wanted.labels_fit({"b": "2"})
    without = parse(["label!=a", "label!=b=2"], PRUNE, now=NOW)
    assert not without.labels_fit({"a": "", "b": "2"})
    assert without.labels_fit({"a": ""})  # as docker: only who has them all is spared
    assert without.labels_fit({})


def test_of_several_times_the_narrowest_counts() -> None:
    assert parse(["until=1h", "until=2h"], LIST, now=NOW).until == NOW - 7200 * 10**9
    assert parse(["until=1h30m"], PRUNE, now=NOW).until == NOW - 5400 * 10**9
    assert parse(["until=1600000000.5"], PRUNE, now=NOW).until == 1_600_000_000_500_000_000
    assert parse(["until=2020-01-01T00:00:00Z"], PRUNE, now=NOW).until == 1_577_836_800 * 10**9
    assert parse([" Until = 10s "], PRUNE, now=NOW).until == NOW - 10 * 10**9


@pytest.mark.parametrize(
    ("text", "keys", "words"),
    [
        ("x=1", LIST, "invalid filter 'x'"),
        ("label!=a", LIST, "invalid filter 'label!'"),
        ("reference=a", PRUNE, "invalid filter 'reference'"),
        ("dangling", LIST, "bad format of filter"),
        ("dangling=maybe", LIST, r"invalid filter 'dangling=\[maybe\]'"),
        ("until=soon", LIST, "until: 'soon' is not a time"),
        ("until=", LIST, "until: '' is not a time"),
        ("until=" + "9" * 30, LIST, "is not a time"),
        ("reference=[", LIST, "syntax error in pattern"),
    ],
)
def test_bad_filters(text: str, keys: tuple[str, ...], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words) as raised:
        parse([text], keys, now=NOW)
    assert raised.value.hint


def test_a_wrong_filter_is_told_the_right_ones() -> None:
    with pytest.raises(InvalidArgument) as raised:
        parse(["colour=red"], LIST, now=NOW)
    assert raised.value.hint == "known are before, dangling, label, reference, since, until"


def test_dangling() -> None:
    assert parse([], LIST, now=NOW).dangling is None
    assert [parse([f"dangling={word}"], LIST, now=NOW).dangling for word in ("true", "1", "T")] == [True] * 3
    assert [parse([f"dangling={word}"], LIST, now=NOW).dangling for word in ("FALSE", "0", "f")] == [False] * 3
    with pytest.raises(InvalidArgument, match=r"dangling=\[false true\]"):
        parse(["dangling=true", "dangling=false"], LIST, now=NOW)


def test_names() -> None:
    wanted = filters.parse(["reference=web", "reference=*:1"], LIST, now=NOW)
    assert wanted.named("web", "7")
    assert wanted.named("db", "1")
    assert not wanted.named("db", "2")
    assert not wanted.named("a/db", "1")
