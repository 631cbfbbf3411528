"""``jackstay volume ls``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.output.headings import VOLUME
from jackstay.cli.output.view import Table

COLUMNS = (("DRIVER", "Driver"), ("VOLUME NAME", "Name"))


def command(
    ctx: typer.Context,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", "-f", metavar="KEY=VALUE", help="dangling, driver, label, name.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Names only.")] = False,
) -> int:
    """List volumes.

    \b
    Examples:
      jackstay -H '@web' volume ls
    """
    from jackstay.cli.output.objects import volume_object

    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.volumes.list(filters or ()),
        lambda volumes: [volume_object(volume) for volume in volumes],
        Table(COLUMNS, VOLUME),
        quiet="Name" if quiet else None,
    )
