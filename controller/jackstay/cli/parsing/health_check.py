"""``--health-cmd`` and its kin, ``--no-healthcheck``. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from jackstay.cli.parsing.times import parse_duration_ns
from jackstay.errors import UsageError
from jackstay_oci.errors import InvalidArgument

_LEAST_NS = 1_000_000
_MOST_NS = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSpec:
    """A health check; what is 0 or empty is the image's."""

    test: tuple[str, ...] = ()
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


def parse_health(command: str, *, disabled: bool, retries: int, **durations: str | None) -> HealthSpec | None:
    """The check that the flags describe; ``None`` when none was given. ``durations`` are of ``HealthSpec``, as typed.

    Raises:
        InvalidArgument: not a duration, or less than a millisecond.
        UsageError: ``--no-healthcheck`` beside another one.
    """
    given = {f"{name}_ns": _duration(name, text) for name, text in durations.items() if text is not None}
    if disabled:
        if command or retries or given:
            raise UsageError("--no-healthcheck conflicts with --health-* options", hint="leave out one of them")
        return HealthSpec(test=("NONE",))
    if not (command or retries or given):
        return None
    return HealthSpec(test=("CMD-SHELL", command) if command else (), retries=retries, **given)


def _duration(name: str, text: str) -> int:
    flag = f"--health-{name.replace('_', '-')}"
    duration = 0 if text == "0" else parse_duration_ns(text)
    if duration is None:
        raise InvalidArgument(f"{flag}: {text!r} is not a duration", hint="write it like 30s or 1m30s")
    if duration and not _LEAST_NS <= duration <= _MOST_NS:
        raise InvalidArgument(f"{flag} cannot be less than 1ms", hint="write it like 30s or 1m30s")
    return duration
