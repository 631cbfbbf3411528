"""``jackstay network prune``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli import pruning
from jackstay.cli.invocation import select, show


def command(
    ctx: typer.Context,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", metavar="KEY=VALUE", help="until=, label=, label!=.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Do not ask.")] = False,
) -> int:
    """Remove the networks that no container is in.

    \b
    Examples:
      jackstay -H web1 network prune
      jackstay -H '@web' network prune --filter until=24h --yes
    """
    hosts = select(ctx)
    pruning.ask(ctx, hosts, [pruning.NETWORKS], filters=filters or (), force=force)
    return show(
        ctx,
        hosts,
        lambda hosts: hosts.networks.prune(filters or ()),
        lambda names: [{"Deleted": name} for name in names],
        pruning.Pruned("Deleted Networks"),
    )
