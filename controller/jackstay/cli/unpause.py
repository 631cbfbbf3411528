"""``jackstay unpause``, ``jackstay container unpause``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import names_as, select, show
from jackstay.cli.output.view import field


def command(ctx: typer.Context, containers: Annotated[list[str], typer.Argument(metavar="CONTAINER...")]) -> int:
    """Let frozen containers go on.

    \b
    Examples:
      jackstay -H '@web' unpause app
    """
    return show(ctx, select(ctx), lambda hosts: hosts.containers.unpause(containers), names_as("Name"), field("Name"))
