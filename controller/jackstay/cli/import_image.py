"""``jackstay import``, ``jackstay image import``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.view import field
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.fleet import FleetResult
    from jackstay.library import Hosts


def command(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FILE|URL|-")],
    name: Annotated[str, typer.Argument(metavar="[NAME[:TAG]]", show_default=False)] = "",
    change: Annotated[
        list[str] | None,
        typer.Option("--change", "-c", metavar="INSTRUCTION", help="A Dockerfile instruction. Repeatable."),
    ] = None,
    message: Annotated[str, typer.Option("--message", "-m", metavar="TEXT", help="For the history.")] = "",
    platform: Annotated[
        str, typer.Option("--platform", metavar="OS/ARCH", help="What it is for; else each host's own.")
    ] = "",
) -> int:
    """Make an image of a tar of a file system.

    The tar may be compressed: gzip, zstd, bzip2, xz. Instructions are those of commit. Archives of images, which
    save writes, are for load.

    \b
    Examples:
      jackstay -H web1 import root.tar.gz base:1 -c 'CMD ["/bin/sh"]'
      docker export app | jackstay -H '@web' import - app:exported
      jackstay -H web1 import https://example.org/alpine.tar.gz alpine:3
    """
    if source == "-" and sys.stdin.isatty():
        raise UsageError("import: standard input is a terminal", hint="name a file, or send a tar in")
    flags = fleet_flags_of(ctx)

    async def work(hosts: Hosts) -> FleetResult[str]:
        from jackstay.cli.progress import showing
        from jackstay.copying.progress import CopyProgress

        progress = CopyProgress()
        for host in hosts:
            progress.host(host.name)
        async with showing(progress, quiet=flags.json or flags.jsonl):
            return await hosts.images.import_tar(
                source, name, changes=change or (), message=message, platform=platform, progress=progress
            )

    return show(
        ctx, select(ctx), work, lambda image_id: [{"Id": image_id, "Name": name}], field("Id")
    )  # fmt: skip
