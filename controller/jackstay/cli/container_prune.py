"""``jackstay container prune``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli import pruning
from jackstay.cli.invocation import select, show


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
    pruning.ask(ctx, hosts, [pruning.CONTAINERS], filters=filters or (), force=force)
    return show(
        ctx,
        hosts,
        lambda hosts: hosts.containers.prune(filters=filters or ()),
        lambda reply: [*({"Deleted": container} for container in reply.removed), {"SpaceReclaimed": reply.reclaimed}],
        pruning.Pruned("Deleted Containers"),
        footer=pruning.total(ctx),
    )
