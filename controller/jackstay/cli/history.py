"""``jackstay history``, ``jackstay image history``."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.headings import HISTORY
from jackstay.cli.output.view import Table

COLUMNS = (
    ("IMAGE", "ID"),
    ("CREATED", "CreatedSince"),
    ("CREATED BY", "CreatedBy"),
    ("SIZE", "Size"),
    ("COMMENT", "Comment"),
)


def command(
    ctx: typer.Context,
    image: Annotated[str, typer.Argument(metavar="IMAGE")],
    human: Annotated[
        bool, typer.Option("--human/--no-human", "-H", help="Ages and rounded sizes, or dates and bytes.")
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Ids only.")] = False,
) -> int:
    """Show how an image came to be.

    After this verb -H is docker's; name hosts before it, or with --host.

    \b
    Examples:
      jackstay -H web1 history httpd:1.1
      jackstay -H web1 history --no-trunc httpd:1.1
      jackstay -H web1 history --human=false httpd:1.1
    """
    from jackstay.cli.output.objects import history_object

    columns = COLUMNS if human else (COLUMNS[0], ("CREATED AT", "CreatedAt"), *COLUMNS[2:])
    full, now = fleet_flags_of(ctx).no_trunc, time.time()
    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.images.history(image),
        lambda items: [history_object(item, now, full=full, human=human) for item in items],
        Table(columns, HISTORY),
        quiet="ID" if quiet else None,
    )
