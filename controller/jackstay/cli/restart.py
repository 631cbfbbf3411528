"""``jackstay restart``, ``jackstay container restart``."""

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
    """Restart containers.

    \b
    Examples:
      jackstay -H '@web' restart app
      jackstay -H web1 restart -t 30 app
    """
    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.containers.restart(containers, timeout=time, signal=signal),
        names_as("Name"),
        field("Name"),
    )
