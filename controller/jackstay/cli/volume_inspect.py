"""``jackstay volume inspect``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.documents import show_documents
from jackstay.cli.invocation import select

SHORT_FORMAT = True


def command(ctx: typer.Context, names: Annotated[list[str], typer.Argument(metavar="VOLUME...")]) -> int:
    """Show everything about volumes.

    \b
    Examples:
      jackstay -H web1 volume inspect data
    """
    from jackstay.cli.output.objects import volume_document

    return show_documents(
        ctx,
        select(ctx),
        lambda hosts: hosts.volumes.inspect(names),
        lambda volumes: [volume_document(volume) for volume in volumes],
    )
