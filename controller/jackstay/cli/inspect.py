"""``jackstay inspect``: containers first, then images, networks and volumes, as docker looks them up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackstay.cli.documents import show_documents
from jackstay.cli.invocation import select
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.fleet import FleetResult
    from jackstay.library import Hosts

SHORT_FORMAT = True
KINDS = ("container", "image", "network", "volume")


def command(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME...")],
    kind: Annotated[str, typer.Option("--type", metavar="|".join(KINDS), help="Look for this kind only.")] = "",
    size: Annotated[bool, typer.Option("--size", "-s", help="Tell containers' sizes, too.")] = False,
) -> int:
    """Show everything about containers, images, networks or volumes.

    \b
    Examples:
      jackstay -H web1 inspect app
      jackstay -H '@web' inspect --format '{{.Host}} {{.State.Status}}' app
    """
    if kind not in ("", *KINDS):
        raise UsageError(f"--type {kind!r}: not {', '.join(KINDS[:-1])} or {KINDS[-1]}")

    async def work(hosts: Hosts) -> FleetResult[list[dict[str, Any]]]:
        from jackstay.cli.looking_up import look_up

        kinds = (kind,) if kind else KINDS
        return await hosts.each(names, lambda agent, name: look_up(agent, name, kinds, size=size))

    return show_documents(ctx, select(ctx), work, list)
