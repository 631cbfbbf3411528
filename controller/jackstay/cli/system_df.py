"""``jackstay system df``."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.headings import USAGE
from jackstay.cli.output.view import Table

COLUMNS = (
    ("TYPE", "Type"),
    ("TOTAL", "TotalCount"),
    ("ACTIVE", "Active"),
    ("SIZE", "Size"),
    ("RECLAIMABLE", "Reclaimable"),
)


def command(
    ctx: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell of every image, container, volume.")] = False,
) -> int:
    """Show what takes space.

    Images take blobs (what was loaded, as it came) and layers (the same unpacked): the two lines below theirs are what
    theirs counts together. Prune frees what is reclaimable: of images `image prune -a`, which frees the partial
    ingests of loads that broke off, too; of volumes `volume prune -a`.

    \b
    Examples:
      jackstay -H '@web' system df
      jackstay -H web1 system df -v
    """
    if verbose:
        return _details(ctx)
    from jackstay.cli.output.objects import usage_object

    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.system.disk_usage(),
        lambda reply: [usage_object(item) for item in reply.usage],
        Table(COLUMNS, USAGE),
    )


def _details(ctx: typer.Context) -> int:
    from jackstay.cli.output.usage_tables import UsageTables, usage_details

    full, now = fleet_flags_of(ctx).no_trunc, time.time()
    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.system.disk_usage(),
        lambda reply: [usage_details(json.loads(reply.document), now, full=full)],
        UsageTables(full),
        document=True,
    )
