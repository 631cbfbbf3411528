"""``jackstay volume prune``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli import pruning
from jackstay.cli.invocation import select, show


def command(
    ctx: typer.Context,
    all_: Annotated[bool, typer.Option("--all", "-a", help="Named ones, too.")] = False,
    filters: Annotated[list[str] | None, typer.Option("--filter", metavar="KEY=VALUE", help="label=, label!=.")] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Do not ask.")] = False,
) -> int:
    """Remove volumes that no container uses.

    \b
    Examples:
      jackstay -H web1 volume prune
      jackstay -H '@web' volume prune -a --yes
    """
    hosts = select(ctx)
    what = pruning.VOLUMES if all_ else pruning.ANONYMOUS
    pruning.ask(ctx, hosts, [what], filters=filters or (), force=force)
    return show(
        ctx,
        hosts,
        lambda hosts: hosts.volumes.prune(all=all_, filters=filters or ()),
        lambda reply: [*({"Deleted": name} for name in reply.removed), {"SpaceReclaimed": reply.reclaimed}],
        pruning.Pruned("Deleted Volumes"),
        footer=pruning.total(ctx),
    )
