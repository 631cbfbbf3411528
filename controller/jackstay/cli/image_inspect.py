"""``jackstay image inspect``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.documents import show_documents
from jackstay.cli.invocation import select

SHORT_FORMAT = True


def command(ctx: typer.Context, images: Annotated[list[str], typer.Argument(metavar="IMAGE...")]) -> int:
    """Show everything about images.

    \b
    Examples:
      jackstay -H web1 image inspect httpd:1.1
      jackstay -H '@web' image inspect --format '{{.Host}} {{.Id}}' httpd:1.1
    """
    return show_documents(ctx, select(ctx), lambda hosts: hosts.images.inspect(images), list)
