"""``jackstay logs``, ``jackstay container logs``."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from jackstay.cli.fleet_flags import FleetFlags
from jackstay.cli.invocation import finish, run_async, select
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.parsing.times import parse_time_ns
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.cli.sinks import Sink
    from jackstay.client import AgentClient
    from jackstay.client.messages import LogEntry, LogsRequest
    from jackstay.fleet import FleetResult
    from jackstay.library import Hosts

STDOUT, STDERR = 1, 2


def command(
    ctx: typer.Context,
    container: Annotated[str, typer.Argument(metavar="CONTAINER")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it ends.")] = False,
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="10m, 2024-01-31T12:00:00Z, 1700000000.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="As --since.")] = "",
    tail: Annotated[str, typer.Option("--tail", "-n", metavar="N|all", help="The last N lines.")] = "all",
    timestamps: Annotated[bool, typer.Option("--timestamps", "-t", help="Begin lines with their time.")] = False,
) -> int:
    """Print what a container wrote.

    \b
    Examples:
      jackstay -H web1 logs -f --tail 20 app
      jackstay -H '@web' logs --since 10m app
    """
    from jackstay.client import messages

    now = time.time_ns()
    request = messages.LogsRequest(
        container=container,
        follow=follow,
        since_ns=parse_time_ns(since, now, "--since") if since else 0,
        until_ns=parse_time_ns(until, now, "--until") if until else 0,
        tail=_tail(tail),
        stdout=True,
        stderr=True,
    )
    flags, hosts = fleet_flags_of(ctx), select(ctx)
    sys.stdout.flush()
    return finish(run_async(_logs(hosts, request, flags, timestamps)), flags)


def _tail(text: str) -> int | None:
    if text == "all" or text.startswith("-"):
        return None
    if not text.isdecimal():
        raise UsageError(f"--tail {text!r}: not a number or all")
    return int(text)


async def _logs(hosts: Hosts, request: LogsRequest, flags: FleetFlags, timestamps: bool) -> FleetResult[object]:
    from contextlib import aclosing

    from jackstay.cli.invocation import print_json, print_jsonl
    from jackstay.cli.output.fold import render_folded
    from jackstay.cli.sinks import Captured, Folding, Prefixed, Through
    from jackstay.library.log_following import read_log

    several = len(hosts) > 1
    sinks: dict[str, Sink] = {}

    async def work(agent: AgentClient) -> object:
        name = agent.host.name
        sink: Sink
        if flags.json:
            sink = Captured()
        elif several and flags.fold and not request.follow:
            sink = Folding(name)
        else:
            sink = Prefixed(name) if several else Through()
        sinks[name] = sink
        try:
            async with aclosing(read_log(agent, request)) as batches:
                async for entries in batches:
                    if flags.jsonl:
                        _print_lines(name, entries)
                    else:
                        await _write(sink, entries, timestamps)
        finally:
            await sink.close()
        return sink

    if flags.jsonl:
        hosts.on_outcome = lambda outcome: print_jsonl(outcome, lambda _: [])
    result = await hosts.run(work, at_once=request.follow)
    if flags.json:
        outcomes = tuple(outcome._replace(value=sinks.get(outcome.host)) for outcome in result.outcomes)
        result = result._replace(outcomes=outcomes)
        print_json(result, _captured)
    kept = {name: sink.kept for name, sink in sinks.items() if isinstance(sink, Folding) and sink.kept}
    if kept:
        sys.stdout.buffer.write(render_folded((host.name, kept[host.name]) for host in hosts if host.name in kept))
        sys.stdout.buffer.flush()
    return result


async def _write(sink: Sink, entries: list[LogEntry], timestamps: bool) -> None:
    """Entries in order, neighbours of the same stream in one write."""
    at = 0
    while at < len(entries):
        stderr, piece = entries[at].stderr, bytearray()
        while at < len(entries) and entries[at].stderr == stderr:
            if timestamps:
                piece += f"{log_time(entries[at].time_ns)} ".encode()
            piece += entries[at].text
            at += 1
        await sink.write(STDERR if stderr else STDOUT, bytes(piece))


def _print_lines(host: str, entries: list[LogEntry]) -> None:
    from jackstay.cli.output.envelope import render_line

    for entry in entries:
        data = {
            "Time": log_time(entry.time_ns),
            "Stream": "stderr" if entry.stderr else "stdout",
            "Text": entry.text.decode(errors="replace"),
        }
        sys.stdout.write(render_line({"host": host, "data": data}))
    sys.stdout.flush()


def _captured(sink: object) -> list[dict[str, object]]:
    from jackstay.cli.sinks import Captured

    return [{"Stdout": sink.text(STDOUT), "Stderr": sink.text(STDERR)}] if isinstance(sink, Captured) else []


def log_time(nanoseconds: int) -> str:
    """RFC 3339 with nine digits, as docker prints it: ``2024-01-31T12:00:00.123456789Z``."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
