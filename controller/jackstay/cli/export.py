"""``jackstay export``, ``jackstay container export``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jackstay.cli.invocation import select_one
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.receiving import receive

if TYPE_CHECKING:
    from jackstay.copying.pouring import Write
    from jackstay.fleet import FleetResult


def command(
    ctx: typer.Context,
    container: Annotated[str, typer.Argument(metavar="CONTAINER")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Else standard output.")] = "-",
) -> int:
    """Write a container's file system as a tar.

    It may run or not. Volumes and what is mounted into it are not in the tar, the folders they lie on are. A file is
    complete or not there: it takes its name when everything has come.

    \b
    Examples:
      jackstay -H web1 export -o app.tar app
      jackstay -H web1 export app | jackstay -H web2 import - app:copy
    """
    hosts = select_one(ctx, "export")

    async def work(write: Write) -> FleetResult[int]:
        return await hosts.containers.export(container, write)

    return receive("export", output, work, fleet_flags_of(ctx))
