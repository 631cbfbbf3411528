"""``jackstay stop``, ``jackstay container stop``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import names_as, select, show
from jackstay.cli.output.view import field


def command(
    ctx: typer.Context,
    containers: Annotated[list[str], typer.Argument(metavar="CONTAINER...")],
    time: Annotated[
        int | None, typer.Option("--time", "--timeout", "-t", metavar="SECONDS", min=0, help="Before it is killed.")
    ] = None,
    signal: Annotated[
        str, typer.Option("--signal", "-s", metavar="SIGNAL", help="What is sent first; else its stop signal.")
    ] = "",
) -> int:
    """Stop running containers.

    \b
    Examples:
      jackstay -H '@web' stop app
      jackstay -H web1 stop -t 30 app
    """
    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.containers.stop(containers, timeout=time, signal=signal),
        names_as("Name"),
        field("Name"),
    )
