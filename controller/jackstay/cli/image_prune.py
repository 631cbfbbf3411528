"""``jackstay image prune``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import confirm, select, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.units import human_size
from jackstay.cli.output.view import Lines


def command(
    ctx: typer.Context,
    all_: Annotated[bool, typer.Option("--all", "-a", help="Named ones that nothing uses, too.")] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Do not ask.")] = False,
) -> int:
    """Remove images that nothing uses.

    \b
    Examples:
      jackstay -H web1 image prune
      jackstay -H '@web' image prune -a --yes
    """
    from jackstay.cli.output.objects import removed_objects

    hosts = select(ctx)
    if not force:
        confirm(ctx, hosts, "remove every image that nothing uses")
    quiet = fleet_flags_of(ctx).format is not None
    return show(
        ctx,
        hosts,
        lambda hosts: hosts.images.prune(all=all_),
        lambda reply: [*removed_objects(reply.removed), {"SpaceReclaimed": reply.reclaimed}],
        Lines(lambda item: "" if "SpaceReclaimed" in item else ": ".join(*item.items())),
        footer=lambda outcomes: (
            ""
            if quiet
            else f"Total reclaimed space: {human_size(sum(o.value.reclaimed for o in outcomes if o.value))}\n"
        ),
    )
