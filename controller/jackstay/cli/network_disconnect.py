"""``jackstay network disconnect``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import no_objects, select, show
from jackstay.cli.output.view import field


def command(
    ctx: typer.Context,
    network: Annotated[str, typer.Argument(metavar="NETWORK")],
    container: Annotated[str, typer.Argument(metavar="CONTAINER")],
    force: Annotated[bool, typer.Option("--force", "-f", help="It need not be connected.")] = False,
) -> int:
    """Disconnect a container from a network.

    \b
    Examples:
      jackstay -H web1 network disconnect shop postgres
    """
    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.networks.disconnect(network, container, force=force),
        no_objects,
        field("Name"),
    )
