"""``jackstay rename``, ``jackstay container rename``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import no_objects, select, show
from jackstay.cli.output.view import field


def command(
    ctx: typer.Context,
    container: Annotated[str, typer.Argument(metavar="CONTAINER")],
    name: Annotated[str, typer.Argument(metavar="NEW-NAME")],
) -> int:
    """Give a container another name.

    \b
    Examples:
      jackstay -H '@web' rename app app-old
    """
    return show(ctx, select(ctx), lambda hosts: hosts.containers.rename(container, name), no_objects, field("Name"))
