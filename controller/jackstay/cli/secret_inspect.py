"""``jackstay secret inspect``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.documents import show_documents
from jackstay.cli.invocation import select

SHORT_FORMAT = True


def command(ctx: typer.Context, names: Annotated[list[str], typer.Argument(metavar="SECRET...")]) -> int:
    """Show everything about secrets but their values.

    \b
    Examples:
      jackstay -H web1 secret inspect db-password
    """
    from jackstay.cli.output.objects import secret_document

    return show_documents(
        ctx,
        select(ctx),
        lambda hosts: hosts.secrets.inspect(names),
        lambda secrets: [secret_document(secret) for secret in secrets],
    )
