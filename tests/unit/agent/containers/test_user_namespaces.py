"""``--userns``: modes, ranges of ids, what does not go together."""

from __future__ import annotations

import sqlite3
from importlib.resources import files
from typing import Any

import pytest

from jackstay_agent.containers import user_namespaces
from jackstay_agent.containers.settings import NetworkAttachment
from jackstay_agent.containers.users import ResolvedUser
from jackstay_agent.errors import InvalidArgument, LimitExceeded
from jackstay_agent.metadata import id_ranges
from tests.unit.agent.containers.container_values import settings


@pytest.mark.parametrize(
    ("mode", "ids"), [("", 0), ("host", 0), ("auto", 65536), ("auto:size=1", 1), ("auto:size=100000", 100000)]
)
def test_modes(mode: str, ids: int) -> None:
    assert user_namespaces.size(settings(userns=mode)) == ids


@pytest.mark.parametrize("mode", ["mine", "auto:", "auto:size=", "auto:size=0", "auto:size=-1", "auto:size=9999999999"])
def test_modes_that_there_are_not(mode: str) -> None:
    with pytest.raises(InvalidArgument, match="--userns"):
        user_namespaces.size(settings(userns=mode))


@pytest.mark.parametrize(
    "given",
    [
        {"privileged": True},
        {"networks": (NetworkAttachment(network="host"),)},
        {"networks": (NetworkAttachment(network="container:a"),)},
        {"pid": "host"},
        {"pid": "container:a"},
        {"ipc": "host"},
        {"ipc": "container:a"},
        {"uts": "host"},
    ],
)
def test_what_is_not_its_own(given: dict[str, Any]) -> None:
    user_namespaces.size(settings(**given))
    with pytest.raises(InvalidArgument, match="incompatible with a user namespace"):
        user_namespaces.size(settings(userns="auto", **given))


def test_a_user_without_a_place() -> None:
    user = ResolvedUser(5, 0, (0, 10), "/")
    user_namespaces.check(user, 0)
    user_namespaces.check(user, 11)
    with pytest.raises(InvalidArgument, match="id 10 is not among the 10"):
        user_namespaces.check(user, 10)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("other:1:2\n", None),
        ("other:1:2\njackstay:300000:65536\njackstay:1:1\n", range(300000, 365536)),
        ("jackstay:x:1\njackstay:5\n#jackstay:1:1\n", None),
    ],
)
def test_subordinate_ids(text: str, found: range | None) -> None:
    assert user_namespaces.parse_subordinate(text) == found


def test_ranges_are_the_lowest_free_ones() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE containers (id TEXT PRIMARY KEY) STRICT")
    connection.executescript(
        files("jackstay_agent.metadata").joinpath("migrations/0005_id_ranges.sql").read_text(encoding="utf-8")
    )
    connection.execute("PRAGMA foreign_keys = ON")
    pool = range(1000, 1300)

    def take(container: str, size: int) -> int:
        connection.execute("INSERT INTO containers VALUES (?)", (container,))
        return id_ranges.take(connection, container, size, pool)

    assert [take("a", 100), take("b", 50), take("c", 150)] == [1000, 1100, 1150]
    with pytest.raises(LimitExceeded, match="no 1 ids of the host are left"):
        take("d", 1)
    connection.execute("DELETE FROM containers WHERE id = 'b'")  # the range goes along
    assert id_ranges.of(connection, "b") is None
    with pytest.raises(LimitExceeded):
        take("e", 51)
    assert take("f", 20) == 1100
    assert take("g", 30) == 1120
    assert id_ranges.of(connection, "g") == (1120, 30)
    outside = id_ranges.take(connection, "d", 10, range(0, 10))  # as after another pool was configured
    assert outside == 0
