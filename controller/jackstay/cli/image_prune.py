"""``jackstay image prune``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli import pruning
from jackstay.cli.invocation import select, show


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
    what = pruning.IMAGES if all_ else pruning.DANGLING
    pruning.ask(ctx, hosts, [what], filters=filters or (), force=force)
    return show(
        ctx,
        hosts,
        lambda hosts: hosts.images.prune(all=all_, filters=filters or ()),
        lambda reply: [*removed_objects(reply.removed), {"SpaceReclaimed": reply.reclaimed}],
        pruning.Pruned("Deleted Images", pruning.image_line),
        footer=pruning.total(ctx),
    )
