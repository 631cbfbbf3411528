"""``jackstay kill``, ``jackstay container kill``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import names_as, select, show
from jackstay.cli.output.view import field


def command(
    ctx: typer.Context,
    containers: Annotated[list[str], typer.Argument(metavar="CONTAINER...")],
    signal: Annotated[str, typer.Option("--signal", "-s", metavar="SIGNAL", help="A name or a number.")] = "KILL",
) -> int:
    """Send a signal to running containers.

    \b
    Examples:
      jackstay -H web1 kill app
      jackstay -H '@web' kill -s HUP app
    """
    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.containers.kill(containers, signal=signal),
        names_as("Name"),
        field("Name"),
    )
