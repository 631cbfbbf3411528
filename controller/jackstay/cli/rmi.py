"""``jackstay rmi``, ``jackstay image rm``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import confirm, select, show
from jackstay.cli.output.view import Lines


def command(
    ctx: typer.Context,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...")],
    force: Annotated[bool, typer.Option("--force", "-f", help="Remove it although it has several names.")] = False,
) -> int:
    """Remove images.

    \b
    Examples:
      jackstay -H web1 rmi httpd:1.0
      jackstay -H '@web' rmi --yes httpd:1.0
    """
    from jackstay.cli.output.objects import removed_objects

    hosts = select(ctx)
    confirm(ctx, hosts, f"remove {', '.join(images)}")
    return show(
        ctx,
        hosts,
        lambda hosts: hosts.images.remove(images, force=force),
        lambda removed: [item for one in removed for item in removed_objects(one)],
        Lines(lambda item: ": ".join(*item.items())),
    )
