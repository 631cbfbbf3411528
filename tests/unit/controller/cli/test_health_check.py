"""``--health-cmd`` and its kin."""

from __future__ import annotations

import pytest

from jackstay.cli.parsing.health_check import HealthSpec, parse_health
from jackstay.errors import InvalidArgument, UsageError


def parse(command: str = "", *, disabled: bool = False, retries: int = 0, **durations: str) -> HealthSpec | None:
    return parse_health(command, disabled=disabled, retries=retries, **durations)


def test_forms() -> None:
    assert parse() is None
    assert parse(disabled=True) == HealthSpec(test=("NONE",))
    assert parse("a | b") == HealthSpec(test=("CMD-SHELL", "a | b"))
    assert parse(retries=2, interval="1m30s", timeout="1.5s", start_period="0", start_interval="1ms") == HealthSpec(
        retries=2, interval_ns=90 * 10**9, timeout_ns=1_500_000_000, start_interval_ns=10**6
    )


@pytest.mark.parametrize("text", ["", "5", "-1s", "1us", "soon", "9999999999h"])
def test_malformed(text: str) -> None:
    with pytest.raises(InvalidArgument, match="--health-start-period"):
        parse(start_period=text)


def test_a_check_and_none() -> None:
    with pytest.raises(UsageError, match="--no-healthcheck conflicts"):
        parse(disabled=True, interval="1s")
