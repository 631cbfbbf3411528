"""``jackstay volume prune``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import confirm, select, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.units import human_size
from jackstay.cli.output.view import Lines


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
    if not force:
        confirm(ctx, hosts, "remove every volume that no container uses")
    quiet = fleet_flags_of(ctx).format is not None
    return show(
        ctx,
        hosts,
        lambda hosts: hosts.volumes.prune(all=all_, filters=filters or ()),
        lambda reply: [*({"Deleted": name} for name in reply.removed), {"SpaceReclaimed": reply.reclaimed}],
        Lines(lambda item: str(item.get("Deleted", ""))),
        footer=lambda outcomes: (
            ""
            if quiet or not any(o.ok for o in outcomes)
            else f"Total reclaimed space: {human_size(sum(o.value.reclaimed for o in outcomes if o.value))}\n"
        ),
    )
