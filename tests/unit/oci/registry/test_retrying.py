"""When a request is sent again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jackstay_oci.registry.retrying import Patience, pause, retry_after

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PATIENCE = Patience(attempts=6, first_pause=1, longest_pause=4, longest_wait=60)


def test_pauses_grow_are_spread_and_end() -> None:
    assert [pause(PATIENCE, tried, None, 1.0) for tried in range(1, 7)] == [1, 2, 4, 4, 4, None]
    assert [pause(PATIENCE, tried, None, 0.0) for tried in range(1, 4)] == [0.5, 1, 2]


def test_what_the_server_asks_for_is_waited_within_bounds() -> None:
    assert pause(PATIENCE, 1, 30.0, 0.0) == 30
    assert pause(PATIENCE, 1, 30.0, 0.5) == 30.5
    assert pause(PATIENCE, 1, 61.0, 0.0) is None
    assert pause(PATIENCE, 6, 1.0, 0.0) is None


def test_a_mirror_is_waited_for_less() -> None:
    assert Patience().for_mirror().attempts == 2
    assert Patience(attempts=1).for_mirror().attempts == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("Tuesday, 24-Nov-26 12:00:30 GMT", 30.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("Tue, 99 Nov 2026 12:00:30 GMT", None),
        ("²", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_in_both_forms(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds
