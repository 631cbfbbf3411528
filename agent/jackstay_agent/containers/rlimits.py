"""``--ulimit`` as the runtime specification has it, clamped to what the agent itself may have. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jackstay_agent.containers.settings import Ulimit
from jackstay_agent.errors import InvalidArgument

NUMBERS = {
    "cpu": 0,
    "fsize": 1,
    "data": 2,
    "stack": 3,
    "core": 4,
    "rss": 5,
    "nproc": 6,
    "nofile": 7,
    "memlock": 8,
    "as": 9,
    "locks": 10,
    "sigpending": 11,
    "msgqueue": 12,
    "nice": 13,
    "rtprio": 14,
    "rttime": 15,
}
"""Docker's names, and the kernel's numbers (asm-generic/resource.h)."""
_INFINITY = (1 << 64) - 1


def build(ulimits: Iterable[Ulimit], ceiling: Mapping[str, int], warnings: list[str]) -> list[dict[str, object]]:
    """``process.rlimits`` for *ulimits*; *ceiling* is the agent's hard limits by name, -1 for none.

    The kernel lets nobody above its own hard limit, so more is clamped, which *warnings* tells.

    Raises:
        InvalidArgument: an unknown name, a negative value but -1 (unlimited), a soft limit above the hard one.
    """
    built: dict[str, dict[str, object]] = {}
    for ulimit in ulimits:
        if ulimit.name not in NUMBERS:
            raise InvalidArgument(
                f"invalid ulimit type: {ulimit.name[:40]}", hint=f"it is one of {', '.join(sorted(NUMBERS))}"
            )
        kind = f"RLIMIT_{ulimit.name.upper()}"
        soft, hard = _value(ulimit.soft), _value(ulimit.hard)
        if soft > hard:
            raise InvalidArgument(
                f"ulimit soft limit must be less than or equal to hard limit: {ulimit.soft} > {ulimit.hard}"
            )
        bound = _INFINITY if ceiling.get(kind, -1) < 0 else ceiling[kind]
        if hard > bound:
            warnings.append(f"ulimit {ulimit.name} is {bound} at most on this host, the agent's own hard limit")
            soft, hard = min(soft, bound), bound
        built[kind] = {"type": kind, "soft": soft, "hard": hard}
    return [built[kind] for kind in sorted(built)]


def _value(value: int) -> int:
    if value < -1 or value > _INFINITY:
        raise InvalidArgument(f"invalid ulimit value {value}", hint="give a number, or -1 for unlimited")
    return _INFINITY if value == -1 else value
