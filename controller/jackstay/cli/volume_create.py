"""``jackstay volume create``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.output.view import field
from jackstay.cli.parsing.environment import parse_pairs
from jackstay.errors import UsageError


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="[NAME]", show_default=False)] = "",
    driver: Annotated[str, typer.Option("--driver", "-d", metavar="DRIVER", help="local.")] = "local",
    label: Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="Repeatable.")] = None,
) -> int:
    """Create a volume.

    \b
    Examples:
      jackstay -H '@web' volume create data
    """
    from jackstay.cli.output.objects import volume_object

    if driver != "local":
        raise UsageError(f"there is no volume driver {driver!r}, only local")
    labels = parse_pairs(label or (), "--label")
    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.volumes.create(name, labels),
        lambda volume: [volume_object(volume)],
        field("Name"),
    )
