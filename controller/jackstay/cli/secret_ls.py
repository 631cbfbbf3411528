"""``jackstay secret ls``."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.output.headings import SECRET
from jackstay.cli.output.view import Table

COLUMNS = (("ID", "ID"), ("NAME", "Name"), ("CREATED", "CreatedAt"), ("UPDATED", "UpdatedAt"))


def command(
    ctx: typer.Context,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", "-f", metavar="KEY=VALUE", help="id, label, name.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Ids only.")] = False,
) -> int:
    """List secrets.

    \b
    Examples:
      jackstay -H '@web' secret ls
    """
    from jackstay.cli.output.objects import secret_object

    now = time.time()
    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.secrets.list(filters or ()),
        lambda secrets: [secret_object(secret, now) for secret in secrets],
        Table(COLUMNS, SECRET),
        quiet="ID" if quiet else None,
    )
