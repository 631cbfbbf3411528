from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_agent.images import document_times


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("2024-02-29T12:00:00.123456789Z", 1709208000123456789),
        ("0001-01-01T00:00:00Z", 0),
        ("9999-12-31T23:59:59Z", document_times.LATEST),
        ("2024-13-01T00:00:00Z", 0),
        ("yesterday", 0),
        ("", 0),
    ],
)
def test_parse(text: str, nanoseconds: int) -> None:
    assert document_times.parse(text) == nanoseconds


@given(st.integers(1, 10**9 * 4_000_000_000))
def test_what_is_rendered_parses_back(nanoseconds: int) -> None:
    assert document_times.parse(document_times.render(nanoseconds)) == nanoseconds


@given(st.text())
def test_any_text_is_some_time(text: str) -> None:
    assert document_times.parse(text) >= 0
