"""``jackstay secret rm``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import confirm, names_as, select, show
from jackstay.cli.output.view import field


def command(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="SECRET...")],
    force: Annotated[bool, typer.Option("--force", "-f", help="A missing one is no error.")] = False,
) -> int:
    """Remove secrets.

    \b
    Examples:
      jackstay -H web1 secret rm db-password
    """
    hosts = select(ctx)
    confirm(ctx, hosts, f"remove the secrets {', '.join(names)}")
    return show(ctx, hosts, lambda hosts: hosts.secrets.remove(names, force=force), names_as("Name"), field("Name"))
