"""``jackstay network ls``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.headings import NETWORK
from jackstay.cli.output.view import Table

COLUMNS = (("NETWORK ID", "ID"), ("NAME", "Name"), ("DRIVER", "Driver"), ("SCOPE", "Scope"))


def command(
    ctx: typer.Context,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", "-f", metavar="KEY=VALUE", help="name, id, driver, label, …"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Ids only.")] = False,
) -> int:
    """List networks.

    \b
    Examples:
      jackstay -H '@web' network ls
    """
    from jackstay.cli.output.objects import network_object

    full = fleet_flags_of(ctx).no_trunc
    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.networks.list(filters or ()),
        lambda networks: [network_object(network, full=full) for network in networks],
        Table(COLUMNS, NETWORK),
        quiet="ID" if quiet else None,
    )
