"""``jackstay container inspect``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.documents import show_documents
from jackstay.cli.invocation import select

SHORT_FORMAT = True


def command(
    ctx: typer.Context,
    containers: Annotated[list[str], typer.Argument(metavar="CONTAINER...")],
    size: Annotated[bool, typer.Option("--size", "-s", help="Tell sizes, too.")] = False,
) -> int:
    """Show everything about containers.

    \b
    Examples:
      jackstay -H web1 container inspect app
      jackstay -H '@web' container inspect --format '{{.Host}} {{.State.Status}}' app
    """
    return show_documents(ctx, select(ctx), lambda hosts: hosts.containers.inspect(containers, size=size), list)
