"""The keys that leave a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay.cli.parsing.detach_keys import DetachScanner, parse_detach_keys
from jackstay_oci.errors import InvalidArgument


def test_keys() -> None:
    assert parse_detach_keys("ctrl-p,ctrl-q") == b"\x10\x11"
    assert parse_detach_keys("ctrl-@,ctrl-[,ctrl-_,a") == b"\x00\x1b\x1fa"
    assert parse_detach_keys("") == b""
    for text in ("ctrl-", "ctrl-1", "ab", "ctrl-p,,ctrl-q", "é"):
        with pytest.raises(InvalidArgument):
            parse_detach_keys(text)


def test_a_started_sequence_is_held_back() -> None:
    scanner = DetachScanner(b"\x10\x11")
    assert scanner.feed(b"ab\x10") == (b"ab", False)
    assert scanner.feed(b"c") == (b"\x10c", False)
    assert scanner.feed(b"\x10") == (b"", False)
    assert scanner.feed(b"\x11rest") == (b"", True)


def test_an_overlapping_start_is_not_missed() -> None:
    assert DetachScanner(b"aab").feed(b"aaab") == (b"a", True)


@given(st.binary(max_size=40), st.binary(min_size=1, max_size=3), st.lists(st.integers(1, 5), max_size=20))
def test_nothing_is_lost_however_it_is_cut(data: bytes, keys: bytes, cuts: list[int]) -> None:
    scanner, passed, rest = DetachScanner(keys), b"", data
    for cut in [*cuts, len(data)]:
        piece, rest = rest[:cut], rest[cut:]
        out, left = scanner.feed(piece)
        passed += out
        if left:
            assert passed + keys == data[: data.find(keys) + len(keys)]
            return
    assert keys not in data
    held = data[len(passed) :]
    assert passed + held == data
    assert keys.startswith(held)
