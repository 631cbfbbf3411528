"""``jackstay network rm``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import confirm, names_as, select, show
from jackstay.cli.output.view import field


def command(
    ctx: typer.Context,
    networks: Annotated[list[str], typer.Argument(metavar="NETWORK...")],
    force: Annotated[bool, typer.Option("--force", "-f", help="A missing one is no error.")] = False,
) -> int:
    """Remove networks.

    \b
    Examples:
      jackstay -H web1 network rm shop
    """
    hosts = select(ctx)
    confirm(ctx, hosts, f"remove the networks {', '.join(networks)}")
    return show(ctx, hosts, lambda hosts: hosts.networks.remove(networks, force=force), names_as("Name"), field("Name"))
