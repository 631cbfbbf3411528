"""``jackstay container prune``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from jackstay.cli.invocation import confirm, select, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.units import human_size
from jackstay.cli.output.view import Lines, Rows


class Pruned:
    """What went, below one heading, as docker prints it; nothing when nothing went."""

    def render(self, rows: Rows, several: bool) -> str:
        """The text."""
        text = Lines(lambda item: str(item.get("Deleted", ""))).render(rows, several)
        return f"Deleted Containers:\n{text}\n" if text else ""


def command(
    ctx: typer.Context,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="KEY=VALUE", help="until=24h, label=KEY[=VALUE], label!=KEY[=VALUE]."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Do not ask.")] = False,
) -> int:
    """Remove the containers that do not run.

    Their volumes stay; volume prune removes those.

    \b
    Examples:
      jackstay -H web1 container prune
      jackstay -H '@web' container prune --yes --filter until=24h
    """
    hosts = select(ctx)
    flags = fleet_flags_of(ctx)
    if not force:
        confirm(ctx, hosts, "remove every container that does not run")
        if len(hosts) == 1 and not (flags.yes or flags.json or flags.jsonl):
            _ask()
    return show(
        ctx,
        hosts,
        lambda hosts: hosts.containers.prune(filters=filters or ()),
        lambda reply: [*({"Deleted": container} for container in reply.removed), {"SpaceReclaimed": reply.reclaimed}],
        Pruned(),
        footer=lambda outcomes: (
            ""
            if flags.format is not None or not any(o.ok for o in outcomes)
            else f"Total reclaimed space: {human_size(sum(o.value.reclaimed for o in outcomes if o.value), 4)}\n"
        ),
    )


def _ask() -> None:
    """Docker's question on the one host, where somebody is there to answer it.

    Raises:
        typer.Abort: the answer was no.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    typer.echo("WARNING! This will remove all stopped containers.", err=True)
    if not typer.confirm("Are you sure you want to continue?", err=True):
        raise typer.Abort
