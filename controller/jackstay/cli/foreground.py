"""Commands whose exit code is a container's: ``run``, ``exec``, ``start -a``, ``attach``.

On one host the code is the process's own; 127 and 126 when the command is not there or not executable, 125 for
everything that is not the container's. On several hosts a code other than 0 makes the host's outcome ``failed``.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from jackstay.cli.invocation import finish, print_json, print_jsonl, run_async
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.fold import render_folded
from jackstay.cli.sinks import STDERR, STDOUT, Captured, Folding, Prefixed, Sink, Through
from jackstay.cli.streams import Signals, StreamEnd
from jackstay.errors import Error, UsageError

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.fleet import FleetResult
    from jackstay.library import Hosts

NOT_OURS = 125
CODES = {"COMMAND_NOT_FOUND": 127, "COMMAND_NOT_EXECUTABLE": 126}


class ExitCode(Error):
    """On several hosts: the process ended with another code than 0."""

    reason = "EXIT_CODE"


class Ended(NamedTuple):
    """One host's process."""

    exit_code: int | None  # None: we detached
    sink: Sink

    def objects(self) -> list[dict[str, Any]]:
        """As an element of ``data``."""
        item: dict[str, Any] = {"ExitCode": self.exit_code}
        if isinstance(self.sink, Captured):
            item |= {"Stdout": self.sink.text(STDOUT), "Stderr": self.sink.text(STDERR)}
        return [item]


Work = Callable[["AgentClient", Sink, Signals], Awaitable[StreamEnd]]


def run_foreground(
    ctx: typer.Context,
    hosts: Hosts,
    work: Work,
    *,
    proxy: bool,
    terminal: bool = False,
    around: AbstractAsyncContextManager[object] | None = None,
) -> int:
    """Do ``work`` on every host, its output going where the options say, within ``around``; the exit code."""
    flags = fleet_flags_of(ctx)
    several = len(hosts) > 1
    as_json = flags.json or flags.jsonl
    if terminal and (several or as_json):
        raise UsageError("a terminal can show one host only", hint="leave -t away, or choose one host with -H")
    fold = several and flags.fold is not False
    ends: dict[str, Ended] = {}

    def sink_of(host: str) -> Sink:
        if as_json:
            return Captured()
        if fold:
            return Folding(host)
        return Prefixed(host) if several else Through()

    async def main() -> FleetResult[Ended]:
        signals = Signals()

        async def one(agent: AgentClient) -> Ended:
            name = agent.host.name
            sink = sink_of(name)
            end = await work(agent, sink, signals)
            ended = ends[name] = Ended(end.exit_code, sink)
            if several and end.exit_code:
                raise ExitCode(f"{name}: the command ended with exit code {end.exit_code}")
            return ended

        if flags.jsonl:
            hosts.on_outcome = lambda outcome: print_jsonl(
                outcome._replace(value=ends.get(outcome.host)), Ended.objects
            )
        with signals.proxied(proxy):
            async with around or nullcontext():
                return await hosts.run(one)

    sys.stdout.flush()
    result = run_async(main())
    result = result._replace(outcomes=tuple(o._replace(value=ends.get(o.host)) for o in result.outcomes))
    if flags.json:
        print_json(result, Ended.objects)
    elif fold and not flags.jsonl:
        kept = [(host, end.sink.kept) for host, end in ends.items() if isinstance(end.sink, Folding)]
        order = {host.name: at for at, host in enumerate(hosts)}
        shown = sorted(((host, data) for host, data in kept if data), key=lambda item: order[item[0]])
        sys.stdout.buffer.write(render_folded(shown))
    return single_code(result, finish(result, flags), several)


def single_code(result: FleetResult[Any], code: int, several: bool) -> int:
    """The exit code: docker's on one host, the fleet's on several."""
    if several:
        return code
    outcome = result.outcomes[0]
    if outcome.ok:
        ended = outcome.value
        return ended.exit_code or 0 if isinstance(ended, Ended) else code
    return CODES.get(outcome.error.kind if outcome.error else "", NOT_OURS)
