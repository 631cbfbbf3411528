"""How a command ended on one host, and on all of them; values only."""

from __future__ import annotations

from typing import Generic, Literal, NamedTuple, TypeVar

from jackstay.errors import Error, HostTimeout, Unreachable

T = TypeVar("T")

OutcomeName = Literal["ok", "failed", "unreachable", "timeout", "skipped"]


class ErrorInfo(NamedTuple):
    """Why a host did not end ``ok``. ``kind`` is a name of the protocol's ``Reason``, or of the controller's own."""

    kind: str
    message: str
    hint: str = ""

    @classmethod
    def of(cls, error: Error) -> ErrorInfo:
        """The error as a value."""
        return cls(error.reason, error.message, error.hint)


class Outcome(NamedTuple, Generic[T]):
    """One host's end. ``value`` is set only for ``ok``, ``error`` only for the others."""

    host: str
    outcome: OutcomeName
    value: T | None = None
    error: ErrorInfo | None = None
    seconds: float = 0.0  # from the start of the connection; 0 when skipped

    @property
    def ok(self) -> bool:
        """Whether the work was done."""
        return self.outcome == "ok"


class FleetResult(NamedTuple, Generic[T]):
    """Every host's outcome, in the order in which the hosts were given."""

    outcomes: tuple[Outcome[T], ...]
    stopped_early: bool = False  # the failure budget was used up while hosts were still waiting
    ignore_unreachable: bool = False  # unreachable hosts do not count as failures

    @property
    def failed(self) -> tuple[Outcome[T], ...]:
        """Those that ended neither ``ok`` nor ``skipped``: what ``@last-failed`` means."""
        return tuple(o for o in self.outcomes if o.outcome not in ("ok", "skipped"))


def outcome_name(error: Error) -> OutcomeName:
    """Which outcome an error stands for."""
    if isinstance(error, Unreachable):
        return "unreachable"
    return "timeout" if isinstance(error, HostTimeout) else "failed"
