"""``jackstay tag``, ``jackstay image tag``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import no_objects, select, show
from jackstay.cli.output.view import field


def command(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="IMAGE")],
    target: Annotated[str, typer.Argument(metavar="NAME[:TAG]")],
) -> int:
    """Give an image another name.

    \b
    Examples:
      jackstay -H '@web' tag httpd:1.1 httpd:stable
    """
    return show(ctx, select(ctx), lambda hosts: hosts.images.tag(source, target), no_objects, field("Name"))
