"""``jackstay rm``, ``jackstay container rm``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import confirm, names_as, select, show
from jackstay.cli.output.view import field


def command(
    ctx: typer.Context,
    containers: Annotated[list[str], typer.Argument(metavar="CONTAINER...")],
    force: Annotated[bool, typer.Option("--force", "-f", help="Running ones too: they are killed.")] = False,
    volumes: Annotated[bool, typer.Option("--volumes", "-v", help="Their anonymous volumes, too.")] = False,
) -> int:
    """Remove containers.

    \b
    Examples:
      jackstay -H web1 rm app
      jackstay -H '@web' rm -f --yes app
    """
    hosts = select(ctx)
    confirm(ctx, hosts, f"remove {', '.join(containers)}")
    return show(
        ctx,
        hosts,
        lambda hosts: hosts.containers.remove(containers, force=force, volumes=volumes),
        names_as("Name"),
        field("Name"),
    )
