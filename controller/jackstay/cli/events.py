"""``jackstay events``, ``jackstay system events``."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackstay.cli.fleet_flags import FleetFlags
from jackstay.cli.invocation import (
    finish,
    parsed_template,
    print_failures,
    print_json,
    print_jsonl,
    remember_failed,
    run_async,
    select,
)
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.parsing.times import parse_time_ns
from jackstay.errors import LimitExceeded

if TYPE_CHECKING:
    from jackstay.cli.output.template import Template
    from jackstay.client import AgentClient
    from jackstay.client.messages import Event, EventsRequest
    from jackstay.fleet import FleetResult, Outcome
    from jackstay.library import Hosts

KEEP = 100_000
"""Events of a host that ``--json``, which prints at the end, holds at most."""


def command(
    ctx: typer.Context,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            "-f",
            metavar="KEY=VALUE",
            help="container, event, image, label, network, scope, type, volume.",
        ),
    ] = None,
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="10m, 2024-01-31T12:00:00Z, 1700000000.")] = "",
    until: Annotated[
        str, typer.Option("--until", metavar="TIME", help="As --since; 0s ends with what has happened.")
    ] = "",
) -> int:
    """Show what happens on hosts.

    Without --since only what happens from now on; without --until, until it is interrupted.

    \b
    Examples:
      jackstay -H '@web' events
      jackstay -H web1 events --since 1h --until 0s --filter type=container --filter event=die
      jackstay -H '@web' events --format '{{.Host}} {{.Action}} {{.Actor.Attributes.name}}'
    """
    from jackstay.client import messages

    now = time.time_ns()
    request = messages.EventsRequest(
        since_ns=parse_time_ns(since, now, "--since") if since else 0,
        until_ns=parse_time_ns(until, now, "--until") if until else 0,
        filters=filters or (),
    )
    flags = fleet_flags_of(ctx)
    template = parsed_template(flags, document=True)
    if template is not None:
        from jackstay.cli.output.events import FIELDS

        template.check_fields({"Host", *FIELDS})
    hosts = select(ctx)
    sys.stdout.flush()
    result = run_async(_events(hosts, request, flags, template))
    if flags.json or flags.jsonl or any(_output_closed(outcome) for outcome in result.outcomes):
        return finish(result, flags)
    from jackstay.fleet import exit_code

    remember_failed(result)
    return exit_code(result)


async def _events(
    hosts: Hosts, request: EventsRequest, flags: FleetFlags, template: Template | None
) -> FleetResult[list[Event]]:
    from jackstay.cli.output.events import event_object
    from jackstay.cli.writing import write

    several = len(hosts) > 1
    kept: dict[str, list[Event]] = {}

    async def work(agent: AgentClient) -> list[Event]:
        name = agent.host.name
        held = kept[name] = []
        async for reply in agent.system.events(request):
            if flags.json:
                held += reply.events
                if len(held) > KEEP:
                    raise LimitExceeded(f"more than the {KEEP} events that --json holds", hint="use --jsonl")
            elif reply.events:
                lines = [_line(name, event, flags, template, several) for event in reply.events]
                await write(1, "".join(lines).encode())
        return held

    def ended(outcome: Outcome[list[Event]]) -> None:
        if flags.jsonl:
            print_jsonl(outcome, lambda _: [])
        elif not flags.json:
            print_failures(_result_of(outcome))  # now, since the others may go on for days

    hosts.on_outcome = ended
    result = await hosts.run(work, so_far=kept, at_once=True)
    if flags.json:
        print_json(result, lambda events: [event_object(event) for event in events])
    return result


def _line(host: str, event: Event, flags: FleetFlags, template: Template | None, several: bool) -> str:
    """What is printed of one event."""
    from jackstay.cli.output.events import event_fields, event_line, event_object

    if flags.jsonl:
        from jackstay.cli.output.envelope import render_line

        return render_line({"host": host, "data": event_object(event)})
    if template is None:
        return f"{host}: {event_line(event)}\n" if several else f"{event_line(event)}\n"
    fields = event_object(event) if template.text == "{{json .}}" else event_fields(event)
    return f"{template.render({**fields, 'Host': host})}\n"


def _result_of(outcome: Outcome[Any]) -> FleetResult[Any]:
    from jackstay.fleet import FleetResult

    return FleetResult(()) if _output_closed(outcome) else FleetResult((outcome,))


def _output_closed(outcome: Outcome[Any]) -> bool:
    return outcome.error is not None and outcome.error.kind == "OUTPUT_CLOSED"
