"""Bounded fan-out: one task a host, one outcome a host."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from jackstay.client import connect
from jackstay.errors import Error, HostTimeout, UsageError
from jackstay.fleet.batches import batches
from jackstay.fleet.budget import Budget, failures_allowed
from jackstay.fleet.options import FleetOptions
from jackstay.fleet.outcome import ErrorInfo, FleetResult, Outcome, outcome_name
from jackstay.tunnel.settings import TunnelSettings

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.inventory.host import Host

T = TypeVar("T")
Connector = Callable[["Host"], Awaitable["AgentClient"]]

log = logging.getLogger(__name__)


async def run(
    hosts: Sequence[Host],
    work: Callable[[AgentClient], Awaitable[T]],
    options: FleetOptions | None = None,
    *,
    on_begin: Callable[[Host], None] | None = None,
    on_outcome: Callable[[Outcome[T]], None] | None = None,
    connector: Connector | None = None,
) -> FleetResult[T]:
    """Connect to every host, do ``work`` there, close; return how each host ended, in the order given.

    At most ``options.fanout`` hosts are at work at once; ``options.serial`` makes batches, each begun when the one
    before has ended; ``options.max_fail`` stops beginning hosts, and those not begun are ``skipped``. ``on_begin`` is
    called before a host is connected to, ``on_outcome`` as each host ends. ``connector`` replaces
    :func:`jackstay.client.connect`.

    Raises :class:`~jackstay.errors.UsageError` for malformed options before any host is asked. What ``work`` raises
    becomes that host's outcome and never leaves here; cancelling ends all hosts' work and closes every connection.
    """
    options = options or FleetOptions()
    if options.fanout < 1:
        raise UsageError(f"--fanout {options.fanout} is not a number of hosts", hint="at least 1")
    plan = batches(options.serial, hosts)
    budget = Budget(failures_allowed(options.max_fail, len(hosts)), options.ignore_unreachable)
    tunnels = TunnelSettings(connect_timeout=options.connect_timeout, accept_new=options.accept_new)

    def open_tunnel(host: Host) -> Awaitable[AgentClient]:
        return connect(host, tunnels)

    fleet = _Fleet(work, options, budget, on_begin, on_outcome, connector or open_tunnel)
    for batch in plan:
        await fleet.run(batch)
    return fleet.result(hosts)


class _Fleet(Generic[T]):
    """The state of one run."""

    def __init__(
        self,
        work: Callable[[AgentClient], Awaitable[T]],
        options: FleetOptions,
        budget: Budget,
        on_begin: Callable[[Host], None] | None,
        on_outcome: Callable[[Outcome[T]], None] | None,
        connector: Connector,
    ) -> None:
        self._work = work
        self._options = options
        self._budget = budget
        self._on_begin = on_begin
        self._on_outcome = on_outcome
        self._connector = connector
        self._outcomes: dict[str, Outcome[T]] = {}

    async def run(self, batch: Sequence[Host]) -> None:
        """All hosts of one batch, by as many workers as may be at work at once."""
        waiting = iter(batch)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._options.fanout, len(batch))):
                    group.create_task(self._worker(waiting))
        except BaseExceptionGroup as several:  # only `on_outcome` raises in a worker: hand out what it raised
            raise several.exceptions[0] from None

    def result(self, hosts: Sequence[Host]) -> FleetResult[T]:
        """The outcomes of all hosts, in order."""
        outcomes = tuple(self._outcomes[host.name] for host in hosts)
        skipped = any(one.outcome == "skipped" for one in outcomes)
        return FleetResult(outcomes, stopped_early=skipped, ignore_unreachable=self._options.ignore_unreachable)

    async def _worker(self, waiting: Iterator[Host]) -> None:
        for host in waiting:
            if self._budget.used_up:
                outcome: Outcome[T] = Outcome(
                    host.name, "skipped", error=ErrorInfo("SKIPPED", "not begun: too many hosts had failed")
                )
            else:
                if self._on_begin:
                    self._on_begin(host)
                outcome = await self._one(host)
                self._budget.count(outcome.outcome)
            self._outcomes[host.name] = outcome
            if self._on_outcome:
                self._on_outcome(outcome)

    async def _one(self, host: Host) -> Outcome[T]:
        """One host from connecting to closing; raises only when the whole run is cancelled."""
        start = time.monotonic()
        try:
            value = await self._at(host)
        except Error as error:
            return self._ended(host, error, start)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return self._unexpected(host, "its work was cancelled", start)
        except Exception as error:  # one host's mistake must not lose the others' results
            log.debug("unexpected error on %s", host.name, exc_info=True)
            return self._unexpected(host, f"{type(error).__name__}: {error}", start)
        return Outcome(host.name, "ok", value=value, seconds=time.monotonic() - start)

    async def _at(self, host: Host) -> T:
        client = await self._connector(host)
        try:
            limit = asyncio.timeout(self._options.timeout or None)
            try:
                async with limit:
                    return await self._work(client)
            except TimeoutError:
                if not limit.expired():
                    raise
                raise HostTimeout(
                    f"{host.name} did not finish within {self._options.timeout:g} seconds",
                    hint="allow more with --timeout",
                ) from None
        finally:
            try:
                await client.close()
            except Exception:  # the work's result stands, however the goodbye went
                log.debug("closing the connection to %s failed", host.name, exc_info=True)

    def _ended(self, host: Host, error: Error, start: float) -> Outcome[T]:
        return Outcome(host.name, outcome_name(error), error=ErrorInfo.of(error), seconds=time.monotonic() - start)

    def _unexpected(self, host: Host, what: str, start: float) -> Outcome[T]:
        info = ErrorInfo("INTERNAL", f"{host.name}: {what}", "this is a mistake in jackstay; --debug shows where")
        return Outcome(host.name, "failed", error=info, seconds=time.monotonic() - start)
