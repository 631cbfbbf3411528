"""``jackstay ps``, ``jackstay container ls``."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from jackstay.cli.invocation import parsed_template, select, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.headings import CONTAINER
from jackstay.cli.output.view import Table

COLUMNS = (
    ("CONTAINER ID", "ID"),
    ("IMAGE", "Image"),
    ("COMMAND", "Command"),
    ("CREATED", "RunningFor"),
    ("STATUS", "Status"),
    ("PORTS", "Ports"),
    ("NAMES", "Names"),
)


def command(
    ctx: typer.Context,
    all_: Annotated[bool, typer.Option("--all", "-a", help="Show those that do not run, too.")] = False,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", "-f", metavar="KEY=VALUE", help="name, status, label, ancestor, publish, …: as docker's."
        ),
    ] = None,
    last: Annotated[
        int | None, typer.Option("--last", "-n", metavar="N", min=0, help="The N newest, of any state.")
    ] = None,
    latest: Annotated[bool, typer.Option("--latest", "-l", help="The newest, of any state.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Ids only.")] = False,
    size: Annotated[bool, typer.Option("--size", "-s", help="Show sizes.")] = False,
) -> int:
    """List containers.

    \b
    Examples:
      jackstay -H '@web' ps
      jackstay -H '@web' ps -a --filter status=exited
      jackstay -H web1 ps -q
      jackstay -H '@web' ps --format 'table {{.Names}}\\t{{.Status}}'
    """
    from jackstay.cli.output.objects import container_object

    full, now = fleet_flags_of(ctx).no_trunc, time.time()
    template = parsed_template(fleet_flags_of(ctx))
    size = size or (template is not None and "Size" in template.fields)
    columns = (*COLUMNS, ("SIZE", "Size")) if size else COLUMNS
    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.containers.list(
            all=all_, filters=filters or (), size=size, last=1 if latest else last or 0
        ),
        lambda items: [container_object(item, now, full=full, size=size) for item in items],
        Table(columns, CONTAINER),
        quiet="ID" if quiet else None,
    )
