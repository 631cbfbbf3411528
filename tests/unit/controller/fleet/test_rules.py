"""Batches, failure budget and exit codes: pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay.errors import UsageError
from jackstay.fleet import FleetResult, Outcome, OutcomeName, exit_code
from jackstay.fleet.batches import batch_sizes, batches
from jackstay.fleet.budget import Budget, failures_allowed


@pytest.mark.parametrize(
    ("serial", "total", "sizes"),
    [
        (None, 7, [7]),
        (None, 0, []),
        ("1", 3, [1, 1, 1]),
        ("1,10%,50%", 20, [1, 2, 10, 7]),
        ("1,10%", 5, [1, 1, 1, 1, 1]),
        ("100%", 5, [5]),
        (" 2 , 3 ", 9, [2, 3, 3, 1]),
        ("50", 3, [3]),
    ],
)
def test_batch_sizes(serial: str | None, total: int, sizes: list[int]) -> None:
    assert batch_sizes(serial, total) == sizes


@pytest.mark.parametrize("serial", ["", "0", "0%", "101%", "-1", "1,,2", "x", "1.5", "٣", "10%%"])
def test_what_is_no_batch(serial: str) -> None:
    with pytest.raises(UsageError):
        batch_sizes(serial, 10)


parts = st.integers(1, 500).map(str) | st.integers(1, 100).map(lambda n: f"{n}%")


@given(st.lists(parts, min_size=1, max_size=5).map(",".join), st.lists(st.integers(), max_size=300))
def test_every_host_is_in_one_batch_in_order(serial: str, hosts: list[int]) -> None:
    made = batches(serial, hosts)
    assert [host for batch in made for host in batch] == hosts
    assert all(made)


@pytest.mark.parametrize(
    ("max_fail", "total", "allowed"),
    [(None, 5, None), ("3", 5, 3), ("10%", 40, 4), ("10%", 5, 1), ("34%", 100, 34), ("1%", 0, 1)],
)
def test_failures_allowed(max_fail: str | None, total: int, allowed: int | None) -> None:
    assert failures_allowed(max_fail, total) == allowed


@pytest.mark.parametrize("max_fail", ["", "0", "0%", "101%", "-1", "x", "1,2"])
def test_what_is_no_number_of_failures(max_fail: str) -> None:
    with pytest.raises(UsageError):
        failures_allowed(max_fail, 10)


names: st.SearchStrategy[OutcomeName] = st.sampled_from(["ok", "failed", "unreachable", "timeout", "skipped"])


@given(st.lists(names), st.integers(1, 5), st.booleans())
def test_the_budget_counts_exactly_the_failures(ends: list[OutcomeName], allowed: int, ignore: bool) -> None:
    budget = Budget(allowed, ignore)
    for end in ends:
        budget.count(end)
    counting = {"failed", "timeout"} | (set() if ignore else {"unreachable"})
    assert budget.failures == sum(end in counting for end in ends)
    assert budget.used_up == (budget.failures >= allowed)


@given(st.integers(1, 100), st.integers(1, 1000))
def test_all_failing_uses_up_any_share(share: int, total: int) -> None:
    allowed = failures_allowed(f"{share}%", total)
    assert allowed is not None
    assert 1 <= allowed <= total


@pytest.mark.parametrize(
    ("ends", "early", "ignore", "code"),
    [
        ("", False, False, 0),
        ("ok ok", False, False, 0),
        ("ok failed", False, False, 1),
        ("ok timeout", False, False, 1),
        ("ok unreachable", False, False, 4),
        ("unreachable failed", False, False, 1),
        ("unreachable timeout", False, False, 1),
        ("unreachable ok", False, True, 0),
        ("unreachable failed", False, True, 1),
        ("failed skipped", True, False, 5),
        ("unreachable skipped", True, False, 5),
    ],
)
def test_exit_codes(ends: str, early: bool, ignore: bool, code: int) -> None:
    outcomes: tuple[Outcome[None], ...] = tuple(Outcome(f"h{n}", end) for n, end in enumerate(ends.split()))  # type: ignore[arg-type]
    assert exit_code(FleetResult(outcomes, early, ignore)) == code
