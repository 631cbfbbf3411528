"""The rules of cp, as docker's documentation and its own tests of archive.CopyTo have them."""

from __future__ import annotations

import pytest

from jackstay.copying.container_paths import Ends, Facts, Plan, asserts_folder, parse_ends, plan, split_entry
from jackstay.errors import InvalidArgument, UsageError


@pytest.mark.parametrize(
    ("source", "destination", "ends"),
    [
        ("a", "app:/b", Ends("app", "/b", "a", True)),
        ("./a:b", "app:b", Ends("app", "b", "./a:b", True)),
        ("/a:b", "app:", Ends("app", "/", "/a:b", True)),
        ("-", "app:/", Ends("app", "/", "-", True)),
        ("app:/a:b", "-", Ends("app", "/a:b", "-", False)),
        ("app:/a", ".", Ends("app", "/a", ".", False)),
        ("app:/a", "..:b", Ends("app", "/a", "..:b", False)),
    ],
)
def test_which_side_is_in_a_container(source: str, destination: str, ends: Ends) -> None:
    assert parse_ends(source, destination) == ends


@pytest.mark.parametrize(
    ("source", "destination", "told"),
    [
        ("a", "b", "must specify at least one container source"),
        ("-", "-", "must specify at least one container source"),
        ("./a:b", "/c:d", "must specify at least one container source"),
        ("one:/a", "two:/b", "copying between containers is not supported"),
        ("a", ":/b", "names no container"),
        (":/a", "b", "names no container"),
    ],
)
def test_sides_that_are_refused(source: str, destination: str, told: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_ends(source, destination)
    assert told in raised.value.message


@pytest.mark.parametrize(
    ("path", "entry", "folder"),
    [
        ("/a/b", ("/a", "b"), False),
        ("/a/b/", ("/a", "b"), True),
        ("/a/b/.", ("/a/b", "."), True),
        ("/a/../b", ("/", "b"), False),
        ("/", ("/", "."), True),
        ("/.", ("/", "."), True),
        ("//", ("/", "."), True),
        (".", (".", "."), True),
        ("a", (".", "a"), False),
        ("a/", (".", "a"), True),
        ("a/..", (".", "."), False),
        ("..", (".", ".."), False),
    ],
)
def test_taking_paths_apart(path: str, entry: tuple[str, str], folder: bool) -> None:
    assert split_entry(path) == entry
    assert asserts_folder(path) is folder


FILE, FOLDER = Facts("/s/src", True), Facts("/s/src", True, True)
CONTENTS = Facts("/s/src/.", True, True)


@pytest.mark.parametrize(
    ("source", "destination", "planned"),
    [
        (FILE, Facts("/d/dst", False), Plan("/d", "dst")),
        (FILE, Facts("/d/dst", True), Plan("/d", "dst")),
        (FILE, Facts("/d/dst", True, True), Plan("/d/dst", "src")),
        (FILE, Facts("/d/dst/", True, True), Plan("/d/dst/", "src")),
        (FILE, Facts("/", True, True), Plan("/", "src")),
        (FOLDER, Facts("/d/dst", False), Plan("/d", "dst")),
        (FOLDER, Facts("/d/dst/", False), Plan("/d", "dst")),
        (FOLDER, Facts("/d/dst", True, True), Plan("/d/dst", "src")),
        (Facts("/s/src/", True, True), Facts("/d/dst", True, True), Plan("/d/dst", "src")),
        (CONTENTS, Facts("/d/dst", False), Plan("/d", "dst")),
        (CONTENTS, Facts("/d/dst", True, True), Plan("/d/dst", ".")),
        (Facts("/", True, True), Facts("dst", True, True), Plan("dst", ".")),
    ],
)
def test_where_things_go(source: Facts, destination: Facts, planned: Plan) -> None:
    assert plan(source, destination) == planned


@pytest.mark.parametrize(
    ("source", "destination", "told"),
    [
        (FILE, Facts("/d/dst/", False), "no such directory"),
        (FILE, Facts("/d/dst/.", False), "no such directory"),
        (FOLDER, Facts("/d/dst/.", False), "no such directory"),
        (FILE, Facts("/d/dst/", True), "not a directory"),
        (FOLDER, Facts("/d/dst", True), "cannot copy directory"),
        (CONTENTS, Facts("/d/dst", True), "cannot copy directory"),
    ],
)
def test_what_cannot_go_anywhere(source: Facts, destination: Facts, told: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        plan(source, destination)
    assert told in raised.value.message
