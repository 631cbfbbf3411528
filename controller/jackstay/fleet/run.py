"""Bounded fan-out: one task a host, one outcome a host."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from jackstay.fleet.options import FleetOptions
from jackstay.fleet.outcome import FleetResult, Outcome

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.inventory.host import Host

T = TypeVar("T")
Connector = Callable[["Host"], Awaitable["AgentClient"]]


async def run(
    hosts: Sequence[Host],
    work: Callable[[AgentClient], Awaitable[T]],
    options: FleetOptions | None = None,
    *,
    on_outcome: Callable[[Outcome[T]], None] | None = None,
    connector: Connector | None = None,
) -> FleetResult[T]:
    """Connect to every host, do ``work`` there, close; return how each host ended, in the order given.

    At most ``options.fanout`` hosts are at work at once; ``options.serial`` makes batches, each begun when the one before
    has ended; ``options.max_fail`` stops beginning hosts, and those not begun are ``skipped``. ``on_outcome`` is called
    as each host ends. ``connector`` replaces :func:`jackstay.client.connect`.

    Raises :class:`~jackstay.errors.UsageError` for malformed options before any host is asked. What ``work`` raises
    becomes that host's outcome and never leaves here; cancelling ends all hosts' work and closes every connection.
    """
    raise NotImplementedError
