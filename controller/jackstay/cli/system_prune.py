"""``jackstay system prune``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from jackstay.cli import pruning
from jackstay.cli.invocation import select, show
from jackstay.cli.output.view import Object, Rows
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.library.system import PrunedHost

HEADINGS = {
    "container": pruning.Pruned("Deleted Containers"),
    "network": pruning.Pruned("Deleted Networks"),
    "volume": pruning.Pruned("Deleted Volumes"),
    "image": pruning.Pruned("Deleted Images", pruning.image_line),
}


class Everything:
    """A part for each kind of which something went."""

    def render(self, rows: Rows, several: bool) -> str:
        """The text."""
        return "".join(
            part.render([(host, [item for item in items if item.get("Type") == kind]) for host, items in rows], several)
            for kind, part in HEADINGS.items()
        )


def command(
    ctx: typer.Context,
    all_: Annotated[
        bool, typer.Option("--all", "-a", help="Every image that no container uses, not only dangling ones.")
    ] = False,
    volumes: Annotated[bool, typer.Option("--volumes", help="Anonymous volumes, too.")] = False,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="KEY=VALUE", help="until=24h, label=KEY[=VALUE], label!=KEY[=VALUE]."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Do not ask.")] = False,
) -> int:
    """Remove everything that nothing uses.

    Stopped containers, networks without one, dangling images and what broken-off loads have left.

    \b
    Examples:
      jackstay -H web1 system prune
      jackstay -H '@web' system prune -a --volumes --yes
    """
    if volumes and any(each.partition("=")[0].strip().lower() == "until" for each in filters or ()):
        raise UsageError('the "until" filter is not supported with "--volumes"', hint="prune in two commands")
    hosts = select(ctx)
    what = [pruning.CONTAINERS, pruning.NETWORKS]
    what += [pruning.ANONYMOUS] if volumes else []
    what.append(pruning.IMAGES if all_ else pruning.DANGLING)
    pruning.ask(ctx, hosts, what, filters=filters or (), force=force)
    return show(
        ctx,
        hosts,
        lambda hosts: hosts.system.prune(all=all_, volumes=volumes, filters=filters or ()),
        _objects,
        Everything(),
        footer=pruning.total(ctx),
    )


def _objects(pruned: PrunedHost) -> Sequence[Object]:
    from jackstay.cli.output.objects import removed_objects

    return [
        *({"Type": "container", "Deleted": container} for container in pruned.containers),
        *({"Type": "network", "Deleted": network} for network in pruned.networks),
        *({"Type": "volume", "Deleted": volume} for volume in pruned.volumes),
        *({"Type": "image", **item} for item in removed_objects(pruned.images)),
        {"SpaceReclaimed": pruned.reclaimed},
    ]
