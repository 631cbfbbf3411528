"""``jackstay rmi``, ``jackstay image rm``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import confirm, report, select, with_host
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.main import print_error
from jackstay.cli.output.view import Lines


def command(
    ctx: typer.Context,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...")],
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            "-f",
            help="Also with several names, or with stopped containers; no failure when it is not there.",
        ),
    ] = False,
) -> int:
    """Remove images.

    A name is taken off; with the last one goes the image, and with the image the layers that nothing else uses. What a
    stopped container uses is removed by force only, and kept for the container until that is removed.

    \b
    Examples:
      jackstay -H web1 rmi httpd:1.0
      jackstay -H '@web' rmi --yes httpd:1.0
    """
    from jackstay.cli.output.objects import removed_objects

    hosts = select(ctx)
    confirm(ctx, hosts, f"remove {', '.join(images)}")
    result, code = report(
        ctx,
        hosts,
        lambda hosts: hosts.images.remove(images, force=force),
        lambda removed: [item for one in removed for item in removed_objects(one)],
        Lines(lambda item: ": ".join(next(iter(item.items())))),
    )
    flags = fleet_flags_of(ctx)
    if force and not (flags.json or flags.jsonl):
        for outcome in result.outcomes:
            for name, removed in zip(images, outcome.value or (), strict=False):
                if outcome.ok and not removed:
                    print_error(with_host(outcome.host, f"No such image: {name}"))
    return code
