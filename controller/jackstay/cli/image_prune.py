"""``jackstay image prune``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from jackstay.cli.invocation import confirm, select, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.units import human_size
from jackstay.cli.output.view import Lines, Object, Rows


class Pruned:
    """What went, below one heading, as docker prints it; nothing when nothing went."""

    def render(self, rows: Rows, several: bool) -> str:
        """The text."""
        text = Lines(_line).render(rows, several)
        return f"Deleted Images:\n{text}\n" if text else ""


def _line(item: Object) -> str:
    ((kind, what),) = item.items()
    return "" if kind == "SpaceReclaimed" else f"{kind.lower()}: {what}"


def command(
    ctx: typer.Context,
    all_: Annotated[bool, typer.Option("--all", "-a", help="Named ones that nothing uses, too.")] = False,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="KEY=VALUE", help="until=24h, label=KEY[=VALUE], label!=KEY[=VALUE]."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Do not ask.")] = False,
) -> int:
    """Remove images that nothing uses.

    Without a filter it also gives up what loads that broke off have left for a later try.

    \b
    Examples:
      jackstay -H web1 image prune
      jackstay -H '@web' image prune -a --yes --filter until=240h
    """
    from jackstay.cli.output.objects import removed_objects

    hosts = select(ctx)
    flags = fleet_flags_of(ctx)
    if not force:
        confirm(ctx, hosts, "remove every image that nothing uses" if all_ else "remove every dangling image")
        if len(hosts) == 1 and not (flags.yes or flags.json or flags.jsonl):
            _ask(all_)
    return show(
        ctx,
        hosts,
        lambda hosts: hosts.images.prune(all=all_, filters=filters or ()),
        lambda reply: [*removed_objects(reply.removed), {"SpaceReclaimed": reply.reclaimed}],
        Pruned(),
        footer=lambda outcomes: (
            ""
            if flags.format is not None or not any(o.ok for o in outcomes)
            else f"Total reclaimed space: {human_size(sum(o.value.reclaimed for o in outcomes if o.value), 4)}\n"
        ),
    )


def _ask(all_: bool) -> None:
    """Docker's question on the one host, where somebody is there to answer it.

    Raises:
        typer.Abort: the answer was no.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    what = "images without at least one container associated to them" if all_ else "dangling images"
    typer.echo(f"WARNING! This will remove all {what}.", err=True)
    if not typer.confirm("Are you sure you want to continue?", err=True):
        raise typer.Abort
