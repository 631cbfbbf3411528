"""``jackstay rm``, ``jackstay container rm``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import confirm, report, select, with_host
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.main import print_error
from jackstay.cli.output.view import field


def command(
    ctx: typer.Context,
    containers: Annotated[list[str], typer.Argument(metavar="CONTAINER...")],
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Running ones too: they are killed; a missing one is no failure.")
    ] = False,
    volumes: Annotated[bool, typer.Option("--volumes", "-v", help="Their anonymous volumes, too.")] = False,
) -> int:
    """Remove containers.

    \b
    Examples:
      jackstay -H web1 rm app
      jackstay -H '@web' rm -f --yes app
    """
    hosts = select(ctx)
    confirm(ctx, hosts, f"remove {', '.join(containers)}")
    result, code = report(
        ctx,
        hosts,
        lambda hosts: hosts.containers.remove(containers, force=force, volumes=volumes),
        lambda names: [{"Name": name} for name in names if name],
        field("Name"),
    )
    flags = fleet_flags_of(ctx)
    if not (flags.json or flags.jsonl):
        for outcome in result.outcomes:
            for name, removed in zip(containers, outcome.value or (), strict=False):
                if outcome.ok and not removed:
                    print_error(with_host(outcome.host, f"no such container: {name}"))
    return code
