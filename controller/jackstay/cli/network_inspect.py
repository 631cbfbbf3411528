"""``jackstay network inspect``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.documents import show_documents
from jackstay.cli.invocation import select

SHORT_FORMAT = True


def command(ctx: typer.Context, networks: Annotated[list[str], typer.Argument(metavar="NETWORK...")]) -> int:
    """Show everything about networks.

    \b
    Examples:
      jackstay -H web1 network inspect bridge
    """
    return show_documents(ctx, select(ctx), lambda hosts: hosts.networks.inspect(networks), list)
