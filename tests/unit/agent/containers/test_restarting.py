"""When a container is started again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jackstay_agent.containers import restarting
from jackstay_agent.containers.restarting import FIRST, LONGEST, Next
from jackstay_agent.containers.settings import RestartPolicy, Settings
from jackstay_agent.errors import InvalidArgument
from jackstay_agent.metadata.containers import ContainerRow

SECOND = 10**9
BEGIN = 1000 * SECOND
ROW = ContainerRow("c" * 64, "c", "i", "r", "i", "s", "{}", "running", 1, started=BEGIN)


def after(policy: str, *, code: int = 1, ran: int = SECOND, previous: int = 0, count: int = 0, stopped: int = 0,
          maximum: int = 0) -> Next | None:  # fmt: skip
    return restarting.after_end(
        RestartPolicy(name=policy, maximum_retries=maximum),
        replace(ROW, restart_count=count, stopped=stopped),
        code=code,
        finished=BEGIN + ran,
        now=BEGIN + ran + 5,
        previous=previous,
    )


@pytest.mark.parametrize(
    ("policy", "code", "stopped", "again"),
    [
        ("no", 1, 0, False),
        ("always", 0, 0, True),
        ("always", 1, 1, False),
        ("unless-stopped", 0, 0, True),
        ("unless-stopped", 0, 1, False),
        ("on-failure", 1, 0, True),
        ("on-failure", 0, 0, False),
        ("on-failure", 1, 1, False),
    ],
)
def test_which_ends_are_followed_by_a_start(policy: str, code: int, stopped: int, again: bool) -> None:
    assert (after(policy, code=code, stopped=stopped) is not None) is again


def test_so_many_tries() -> None:
    assert [after("on-failure", count=count, maximum=2) is not None for count in range(4)] == [True, True, False, False]


def test_waits_double_up_to_a_minute() -> None:
    waits, previous = [], 0
    for count in range(12):
        told = after("always", previous=previous, count=count)
        assert told is not None
        assert (told.at, told.count) == (BEGIN + SECOND + told.delay, count + 1)
        waits.append(previous := told.delay)
    assert waits == [FIRST * 2**number for number in range(10)] + [LONGEST] * 2


def test_a_run_of_ten_seconds_begins_anew() -> None:
    told = [after("always", previous=SECOND, ran=ran) for ran in (10 * SECOND - 1, 10 * SECOND)]
    assert [each.delay for each in told if each] == [2 * SECOND, FIRST]


def test_an_end_in_the_future_of_a_clock_that_was_set_back() -> None:
    told = restarting.after_end(
        RestartPolicy(name="always"), ROW, code=1, finished=BEGIN + 3600 * SECOND, now=BEGIN, previous=0
    )
    assert told is not None
    assert told.at == BEGIN + FIRST
    assert restarting.wait(replace(ROW, restart_at=BEGIN + 3600 * SECOND), BEGIN) == LONGEST
    assert restarting.wait(replace(ROW, restart_at=BEGIN - 1), BEGIN) == 0


@pytest.mark.parametrize(
    ("policy", "values", "started"),
    [
        ("always", {}, True),
        ("always", {"stopped": 1}, True),
        ("always", {"started": 0}, False),
        ("unless-stopped", {}, True),
        ("unless-stopped", {"stopped": 1}, False),
        ("on-failure", {"exit_code": 255}, True),
        ("on-failure", {"exit_code": 137, "stopped": 1}, False),
        ("on-failure", {"exit_code": 0}, False),
        ("on-failure", {"exit_code": 1, "restart_count": 3}, False),
        ("no", {}, False),
    ],
)
def test_what_starts_with_the_agent(policy: str, values: dict[str, int], started: bool) -> None:
    given = RestartPolicy(name=policy, maximum_retries=3 if policy == "on-failure" else 0)
    assert restarting.at_start(given, replace(ROW, state="exited", **values)) is started  # type: ignore[arg-type]


def test_policies_that_there_are_not() -> None:
    settings = Settings(image="i", name="c", hostname="c")
    assert restarting.with_policy(settings, RestartPolicy(name="always")).restart.name == "always"
    for policy, rm, told in [
        (RestartPolicy(name="sometimes"), False, "unknown policy"),
        (RestartPolicy(name="always", maximum_retries=1), False, "only be used with 'on-failure'"),
        (RestartPolicy(name="always"), True, "both --restart and --rm"),
    ]:
        with pytest.raises(InvalidArgument, match=told):
            restarting.with_policy(Settings(image="i", name="c", hostname="c", auto_remove=rm), policy)
