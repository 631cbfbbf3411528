"""``jackstay volume rm``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import confirm, names_as, select, show
from jackstay.cli.output.view import field


def command(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="VOLUME...")],
    force: Annotated[bool, typer.Option("--force", "-f", help="A missing one is no error.")] = False,
) -> int:
    """Remove volumes.

    \b
    Examples:
      jackstay -H web1 volume rm data
    """
    hosts = select(ctx)
    confirm(ctx, hosts, f"remove the volumes {', '.join(names)}")
    return show(ctx, hosts, lambda hosts: hosts.volumes.remove(names, force=force), names_as("Name"), field("Name"))
