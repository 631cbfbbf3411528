"""When a container that ended is started again. Pure: the rules are those of moby's ``restartmanager``.

A container with a policy waits before each start, twice as long as the last time, unless it ran for a while. One that a
user stopped stays so, until the agent's own next start if its policy is "always". Times are nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from jackstay_agent.containers.settings import RestartPolicy, Settings
from jackstay_agent.errors import InvalidArgument
from jackstay_agent.metadata.containers import ContainerRow

POLICIES = ("no", "always", "on-failure", "unless-stopped")

FIRST = 100_000_000
"""The wait before the first start."""

LONGEST = 60 * 10**9
"""No wait is longer."""

SETTLED = 10 * 10**9
"""A run of at least this long has the next wait be the first again."""


@dataclass(frozen=True, slots=True)
class Next:
    """The start to come: when, how long after the end that is, and the how manieth by the policy."""

    at: int
    delay: int
    count: int


def check(settings: Settings) -> None:
    """Raise `InvalidArgument` for a policy that there is not, or that contradicts the rest of *settings*."""
    policy = settings.restart
    if policy.name not in POLICIES:
        raise InvalidArgument(
            f"invalid restart policy: unknown policy {policy.name[:40]!r}", hint=f"use one of {', '.join(POLICIES)}"
        )
    if policy.maximum_retries and policy.name != "on-failure":
        raise InvalidArgument(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
            hint="leave out the number, or write on-failure:N",
        )
    if settings.auto_remove and policy.name != "no":
        raise InvalidArgument(
            "conflicting options: cannot specify both --restart and --rm", hint="leave out one of the two"
        )


def with_policy(settings: Settings, policy: RestartPolicy) -> Settings:
    """*settings* with another policy, which holds from the next end on. Raises `InvalidArgument`, see `check`."""
    changed = msgspec.structs.replace(settings, restart=policy)
    check(changed)
    return changed


def after_end(
    policy: RestartPolicy, row: ContainerRow, *, code: int, finished: int, now: int, previous: int
) -> Next | None:
    """What follows on the end of the run that *row* tells of; None for nothing.

    Args:
        policy: the container's.
        row: as it was while the container ran.
        code: how it ended.
        finished: when it ended; the wait counts from then, also when the agent was away.
        now: the time.
        previous: the wait before that run, 0 for none.
    """
    if row.stopped or not _wanted(policy, code, row.restart_count):
        return None
    ran = finished - row.started
    delay = FIRST if ran >= SETTLED or not previous else min(2 * previous, LONGEST)
    return Next(min(finished, now) + delay, delay, row.restart_count + 1)


def at_start(policy: RestartPolicy, row: ContainerRow) -> bool:
    """Whether the agent's own start starts *row*'s container, which ran once and does not run now.

    As in moby, "always" does not care who stopped it. Unlike there, a user's stop holds for "on-failure" too.
    """
    if not row.started:
        return False
    if policy.name == "always":
        return True
    return not row.stopped and _wanted(policy, row.exit_code or 0, row.restart_count)


def wait(row: ContainerRow, now: int) -> int:
    """How long *row*'s container still waits for its start; never longer than the longest wait, whatever clocks do."""
    return min(max(0, row.restart_at - now), LONGEST)


def _wanted(policy: RestartPolicy, code: int, count: int) -> bool:
    if policy.name == "on-failure":
        return code != 0 and (not policy.maximum_retries or count < policy.maximum_retries)
    return policy.name in ("always", "unless-stopped")
