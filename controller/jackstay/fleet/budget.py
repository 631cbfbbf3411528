"""``--max-fail``: after how many failures no more hosts are begun (pure)."""

from __future__ import annotations

import re

from jackstay.errors import UsageError
from jackstay.fleet.outcome import OutcomeName


def failures_allowed(max_fail: str | None, total: int) -> int | None:
    """The number of failures at which to stop; ``None``: never.

    A share is of all hosts, rounded up, so that ``100%`` stops only when every host has failed. Raises
    :class:`~jackstay.errors.UsageError` for anything but ``N`` and ``N%``, and for 0.
    """
    if max_fail is None:
        return None
    found = re.fullmatch(r"\s*(\d{1,9})(%?)\s*", max_fail, re.ASCII)
    number = int(found[1]) if found else 0
    if found is None or number == 0 or (found[2] and number > 100):
        raise UsageError(
            f"'{max_fail.strip()}' is not a number of failures",
            hint="--max-fail 1 stops after the first failed host, --max-fail 10% after a tenth of them",
        )
    return max(1, -(-total * number // 100)) if found[2] else number


class Budget:
    """Counts failures against what is allowed. Failed, unreachable and timed-out hosts count."""

    def __init__(self, allowed: int | None, ignore_unreachable: bool = False) -> None:
        self.allowed = allowed
        self.ignore_unreachable = ignore_unreachable
        self.failures = 0

    def count(self, outcome: OutcomeName) -> None:
        """Take one host's end into account."""
        if outcome in ("failed", "timeout") or (outcome == "unreachable" and not self.ignore_unreachable):
            self.failures += 1

    @property
    def used_up(self) -> bool:
        """Whether no more hosts may begin."""
        return self.allowed is not None and self.failures >= self.allowed
