"""A fleet's result as the exit code of a command (pure)."""

from __future__ import annotations

from typing import Any

from jackstay.fleet.outcome import FleetResult

OK = 0
SOME_FAILED = 1
USAGE = 2
ALL_FAILED_UNREACHABLE = 4
STOPPED_EARLY = 5
INTERRUPTED = 130


def exit_code(result: FleetResult[Any]) -> int:
    """0 all ok, 1 some failed or timed out, 4 all that failed were unreachable, 5 stopped early.

    With ``--ignore-unreachable`` unreachable hosts count for nothing here either. The codes of a container's own
    process (``run``, ``exec`` on one host) are not decided here.
    """
    if result.stopped_early:
        return STOPPED_EARLY
    failures = {o.outcome for o in result.failed}
    if result.ignore_unreachable:
        failures.discard("unreachable")
    if not failures:
        return OK
    return ALL_FAILED_UNREACHABLE if failures == {"unreachable"} else SOME_FAILED
