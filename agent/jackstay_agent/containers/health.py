"""Whether a container is well, as its health check tells: docker's states and rules (moby ``daemon/health.go``). Pure.

    starting ──a probe succeeds──▸ healthy ◂──▸ unhealthy ◂──as many failures as retries── starting, healthy

Failures in the start period do not count while the container is starting. Times and durations are nanoseconds.
"""

from __future__ import annotations

from typing import Any

import msgspec

from jackstay_agent.containers.process import ProcessPlan
from jackstay_agent.containers.settings import HealthCheck, Settings
from jackstay_agent.errors import InvalidArgument
from jackstay_agent.images.document_times import render
from jackstay_oci.image_config import Healthcheck

STATES = ("starting", "healthy", "unhealthy")

ACTIONS = ("none", "kill", "restart", "stop")
"""What can be done with one that is unhealthy, see `health_action`."""

INTERVAL = 30 * 10**9
TIMEOUT = 30 * 10**9
START_INTERVAL = 5 * 10**9
RETRIES = 3
"""What holds where settings and image say 0."""

KEPT = 5
"""So many results are remembered."""

OUTPUT_BYTES = 4096
"""Of what a probe writes."""

_LEAST = 10**6
_MOST = (1 << 63) - 1
_SHELL = ("/bin/sh", "-c")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one probe. `exit_code` is -1 for one that could not run or took too long."""

    start: int
    end: int
    exit_code: int
    output: str


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a container's health; `log` is oldest first."""

    status: str = "starting"
    failing_streak: int = 0
    log: tuple[Result, ...] = ()


def check(asked: HealthCheck | None) -> None:
    """Raise `InvalidArgument`, in docker's words, for a check that nobody can carry out."""
    if asked is None:
        return
    for name in ("interval", "timeout", "start_period", "start_interval"):
        value = getattr(asked, name)
        if value and not _LEAST <= value <= _MOST:
            words = "".join(word.capitalize() for word in name.split("_"))
            raise InvalidArgument(f"{words} in Healthcheck cannot be less than 1ms", hint="write it like 30s")
    if asked.test and asked.test[0] not in ("NONE", "CMD", "CMD-SHELL"):
        raise InvalidArgument(f"unknown healthcheck type {asked.test[0][:40]!r}", hint="NONE, CMD or CMD-SHELL")
    if any("\0" in word for word in asked.test):
        raise InvalidArgument("a NUL byte in the health check")


def check_action(settings: Settings, plan: ProcessPlan) -> None:
    """Raise `InvalidArgument` for an action that there is not, or that nothing would ever bring about."""
    action = settings.health_on_failure
    if action not in ("", *ACTIONS):
        raise InvalidArgument(f"invalid on-failure action: {action[:40]!r}", hint=f"it is one of {', '.join(ACTIONS)}")
    if action not in ("", "none") and not command(plan):
        raise InvalidArgument(
            f"cannot set on-failure action to {action} without a health check", hint="give one with --health-cmd"
        )


def command(plan: ProcessPlan) -> tuple[str, ...]:
    """What a probe of *plan*'s container runs; () when it has no check."""
    test = plan.healthcheck.test if plan.healthcheck is not None else ()
    if len(test) < 2 or test[0] not in ("CMD", "CMD-SHELL") or any("\0" in word for word in test):
        return ()
    return test[1:] if test[0] == "CMD" else (*(plan.shell or _SHELL), *test[1:])


def begun(before: Health | None) -> Health:
    """The health of a run that begins; results of the run *before* stay in the log."""
    return Health(log=before.log if before is not None else ())


def judged(known: Health, result: Result, asked: Healthcheck, started: int) -> Health:
    """The health after *result*, of a run that *started* then."""
    status, streak = known.status, known.failing_streak
    if result.exit_code == 0:
        status, streak = "healthy", 0
    elif status != "starting" or result.start - started >= asked.start_period:
        streak += 1
        if streak >= (asked.retries or RETRIES):
            status = "unhealthy"
    return Health(status=status, failing_streak=streak, log=(*known.log, result)[-KEPT:])


def pause(known: Health, asked: Healthcheck, started: int, now: int) -> int:
    """How long to wait before the next probe."""
    if known.status == "starting" and now - started < asked.start_period:
        return asked.start_interval or START_INTERVAL
    return asked.interval or INTERVAL


def timeout(asked: Healthcheck) -> int:
    """How long a probe may take."""
    return asked.timeout or TIMEOUT


def too_long(limit: int, output: str) -> str:
    """What the log says of a probe that took longer than *limit*, and wrote *output* until then."""
    seconds = f"{limit / 10**9:g}s" if limit >= 10**9 else f"{limit / 10**6:g}ms"
    return f"Health check exceeded timeout ({seconds})" + (f": {output}" if output else "")


def document(known: Health) -> dict[str, Any]:
    """Docker's ``State.Health``."""
    return {
        "Status": known.status,
        "FailingStreak": known.failing_streak,
        "Log": [
            {
                "Start": render(result.start),
                "End": render(result.end),
                "ExitCode": result.exit_code,
                "Output": result.output,
            }
            for result in known.log
        ],
    }
