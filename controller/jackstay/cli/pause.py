"""``jackstay pause``, ``jackstay container pause``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import names_as, select, show
from jackstay.cli.output.view import field


def command(ctx: typer.Context, containers: Annotated[list[str], typer.Argument(metavar="CONTAINER...")]) -> int:
    """Freeze every process of containers.

    \b
    Examples:
      jackstay -H '@web' pause app
    """
    return show(ctx, select(ctx), lambda hosts: hosts.containers.pause(containers), names_as("Name"), field("Name"))
