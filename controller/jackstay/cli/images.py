"""``jackstay images``, ``jackstay image ls``."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.headings import IMAGE
from jackstay.cli.output.view import Table

COLUMNS = (
    ("REPOSITORY", "Repository"),
    ("TAG", "Tag"),
    ("IMAGE ID", "ID"),
    ("CREATED", "CreatedSince"),
    ("SIZE", "Size"),
)
DIGEST = ("DIGEST", "Digest")


def command(
    ctx: typer.Context,
    reference: Annotated[str, typer.Argument(metavar="[REPOSITORY[:TAG]]", show_default=False)] = "",
    all_: Annotated[bool, typer.Option("--all", "-a", help="Also those removed by force that containers use.")] = False,
    digests: Annotated[bool, typer.Option("--digests", help="Show digests.")] = False,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", "-f", metavar="KEY=VALUE", help="dangling, reference, label, before, since, until."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Ids only.")] = False,
) -> int:
    """List images.

    \b
    Examples:
      jackstay -H '@web' images
      jackstay -H web1 images --digests httpd
      jackstay -H web1 images -q --filter dangling=true
      jackstay -H web1 images --filter label=tier=web --filter until=240h 'team/*'
    """
    from jackstay.cli.output.objects import image_object

    full, now = fleet_flags_of(ctx).no_trunc, time.time()
    columns = (*COLUMNS[:2], DIGEST, *COLUMNS[2:]) if digests else COLUMNS
    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.images.list(reference, all=all_, filters=filters or ()),
        lambda items: [image_object(item, now, full=full) for item in items],
        Table(columns, IMAGE),
        quiet="ID" if quiet else None,
    )
