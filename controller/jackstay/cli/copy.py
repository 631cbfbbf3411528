"""``jackstay copy``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackstay.cli.invocation import open_fleet, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.view import Lines, Table
from jackstay.cli.platform_flags import AllPlatformsFlag, PlatformFlag, canonical_platform, wanting
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.copying.endpoints import HostsEndpoint
    from jackstay.copying.sources import SourceImage
    from jackstay.fleet import FleetResult
    from jackstay.library import Hosts

PLAN_COLUMNS = (("IMAGE", "Image"), ("SENT", "Sent"), ("SPARED", "Spared"), ("FROM", "From"))


def command(
    ctx: typer.Context,
    ends: Annotated[list[str], typer.Argument(metavar="SOURCE DEST...")],
    image: Annotated[
        list[str] | None, typer.Option("--image", metavar="NAME", help="An image of the source. Repeatable.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every image of the source.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be sent.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    platform: PlatformFlag = "",
    all_platforms: AllPlatformsFlag = False,
) -> int:
    """Copy images between hosts and archives.

    An end is HOSTS::IMAGE, docker-archive:FILE, oci-archive:FILE, oci:DIR or - (standard input or output). A
    destination may be HOSTS:: alone: the image keeps its name. Every host asks only for what it lacks, and a folder
    gets only that. Of an image for several platforms a host takes its own part, an archive or a folder all.

    \b
    Examples:
      jackstay copy docker-archive:app.tar '@web::'
      jackstay copy web1::httpd:1.1 'web[2-3]::'
      jackstay copy --plan web1::app:1 'web[2-40]::'
      jackstay copy web1::app:1 docker-archive:app.tar
      jackstay copy web1::app:1 oci:images
      jackstay copy --all-platforms oci-archive:multi.tar 'web[1-3]::'
    """
    from jackstay.copying.endpoints import HostsEndpoint
    from jackstay.library.sources import parse_endpoint

    if len(ends) < 2:
        raise UsageError("copy: a source and at least one destination are needed")
    flags = fleet_flags_of(ctx)
    if flags.hosts:
        raise UsageError(
            "copy: hosts are named in the endpoints, not with -H", hint=f"for example {ends[0]} 'web[2-3]::'"
        )
    platform = canonical_platform(platform)
    fleet = open_fleet(flags)
    source = parse_endpoint(ends[0])
    wanted = [*([source.image] if isinstance(source, HostsEndpoint) and source.image else []), *(image or ())]
    if all_ and wanted:
        raise UsageError("copy: either --all or images' names")
    targets = [parse_endpoint(text) for text in ends[1:]]
    hosts_targets = [target for target in targets if isinstance(target, HostsEndpoint)]
    view = Table(PLAN_COLUMNS) if plan else Lines(copied_line)
    rows = _plan_rows if plan and not (flags.json or flags.jsonl) else list
    if len(hosts_targets) < len(targets):
        if len(targets) != 1:
            raise UsageError(
                "copy: an archive or a folder is the only destination", hint="copy to it in a run of its own"
            )
        from jackstay.cli.copy_to_file import Wanted, copy_to_file

        asked = Wanted(ends[0], image or (), all_, platform, plan)
        return copy_to_file(ctx, fleet, asked, targets[0], rows, view)  # type: ignore[arg-type]  # no other is left
    name = _one_name(hosts_targets)
    hosts = fleet.select(*(target.hosts for target in hosts_targets), exclude=flags.exclude, limit=flags.limit)

    async def work(hosts: Hosts) -> FleetResult[list[dict[str, Any]]]:
        from jackstay.cli.transfer import plan_transfer, transfer

        async with fleet.source(ends[0]) as (opened, named):
            images = await opened.images([*named, *(image or ())], all=all_)
            images = wanting(_renamed(images, name), platform, all_platforms)
            if plan:
                return await plan_transfer(hosts, opened, images)
            return await transfer(hosts, opened, images, flags, quiet=quiet)

    return show(ctx, hosts, work, rows, view)


def _one_name(targets: list[HostsEndpoint]) -> str | None:
    """The name that the destinations give; ``None`` when they keep the source's."""
    names = {target.image for target in targets}
    if len(names) > 1:
        raise UsageError("copy: the destinations give different names", hint="copy to each in a run of its own")
    return names.pop()


def _renamed(images: list[SourceImage], name: str | None) -> list[SourceImage]:
    from jackstay.copying.host_source import canonical

    if name is None:
        return images
    if len(images) != 1:
        raise UsageError(f"copy: {len(images)} images cannot all be called {name}", hint="write HOSTS:: without a name")
    return [images[0].named(canonical(name))]


def copied_line(item: dict[str, Any]) -> str:
    """``httpd:1.1: 3.4MB sent, 281MB spared``."""
    from jackstay.cli.output.names import familiar
    from jackstay.cli.output.units import human_size

    sent, spared = human_size(item["bytes_sent"]), human_size(item["bytes_spared"])
    return f"{familiar(str(item['image']))}: {sent} sent, {spared} already there"


def _plan_rows(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from jackstay.cli.output.names import familiar
    from jackstay.cli.output.units import human_size

    return [
        {
            "Image": familiar(item["image"]),
            "Sent": human_size(item["bytes_sent"]),
            "Spared": human_size(item["bytes_spared"]),
            "From": ", ".join(f"{share['from']} ({share['via']})" for share in item["sources"]) or "-",
        }
        for item in items
    ]
