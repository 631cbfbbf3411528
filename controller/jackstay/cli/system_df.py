"""``jackstay system df``."""

from __future__ import annotations

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.output.view import Table

COLUMNS = (
    ("TYPE", "Type"),
    ("TOTAL", "TotalCount"),
    ("ACTIVE", "Active"),
    ("SIZE", "Size"),
    ("RECLAIMABLE", "Reclaimable"),
)


def command(ctx: typer.Context) -> int:
    """Show what takes space.

    \b
    Examples:
      jackstay -H '@web' system df
    """
    from jackstay.cli.output.objects import usage_object

    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.system.disk_usage(),
        lambda usage: [usage_object(item) for item in usage],
        Table(COLUMNS),
    )
