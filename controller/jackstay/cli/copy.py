"""``jackstay copy``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackstay.cli.fleet_flags import FleetFlags
from jackstay.cli.invocation import finish, open_fleet, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.view import Lines, Table
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.copying.endpoints import ArchiveEndpoint, HostsEndpoint, StreamEndpoint
    from jackstay.copying.sources import SourceImage
    from jackstay.fleet import FleetResult
    from jackstay.library import Fleet, Hosts

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
) -> int:
    """Copy images between hosts and archives.

    An end is HOSTS::IMAGE, docker-archive:FILE, oci-archive:FILE, oci:DIR (to read) or - (standard input or output).
    A destination may be HOSTS:: alone: the image keeps its name. Every host asks only for what it lacks.

    \b
    Examples:
      jackstay copy docker-archive:app.tar '@web::'
      jackstay copy web1::httpd:1.1 'web[2-3]::'
      jackstay copy --plan web1::app:1 'web[2-40]::'
      jackstay copy web1::app:1 docker-archive:app.tar
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
    fleet = open_fleet(flags)
    source = parse_endpoint(ends[0])
    wanted = [*([source.image] if isinstance(source, HostsEndpoint) and source.image else []), *(image or ())]
    if all_ and wanted:
        raise UsageError("copy: either --all or images' names")
    targets = [parse_endpoint(text) for text in ends[1:]]
    hosts_targets = [target for target in targets if isinstance(target, HostsEndpoint)]
    if len(hosts_targets) < len(targets):
        if len(targets) != 1 or not isinstance(source, HostsEndpoint) or plan:
            raise UsageError("copy: an archive is made of one host's images, as the only destination")
        return _to_archive(fleet, source, targets[0], wanted, flags)  # type: ignore[arg-type]  # no other is left
    name = _one_name(hosts_targets)
    hosts = fleet.select(*(target.hosts for target in hosts_targets), exclude=flags.exclude, limit=flags.limit)

    async def work(hosts: Hosts) -> FleetResult[list[dict[str, Any]]]:
        from jackstay.cli.transfer import plan_transfer, transfer

        async with fleet.source(ends[0]) as (opened, named):
            images = await opened.images([*named, *(image or ())], all=all_)
            images = _renamed(images, name)
            if plan:
                return await plan_transfer(hosts, opened, images)
            return await transfer(hosts, opened, images, flags, quiet=quiet)

    if plan:
        return show(ctx, hosts, work, list if flags.json or flags.jsonl else _plan_rows, Table(PLAN_COLUMNS))
    return show(ctx, hosts, work, list, Lines(copied_line))


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


def _to_archive(
    fleet: Fleet, source: HostsEndpoint, target: ArchiveEndpoint | StreamEndpoint, wanted: list[str], flags: FleetFlags
) -> int:
    """``copy web1::app docker-archive:FILE`` is ``save``."""
    from jackstay.cli.save import save_file
    from jackstay.copying.endpoints import ArchiveEndpoint
    from jackstay.library.sources import Unsupported

    hosts = fleet.select(source.hosts)
    if len(hosts) != 1:
        raise UsageError(f"{source}: a source is one host, {source.hosts} are {len(hosts)}")
    if not wanted:
        raise UsageError(f"{source} names no image")
    if not isinstance(target, ArchiveEndpoint):
        from jackstay.cli.save import save_stream

        return finish(save_stream(hosts, wanted), flags)
    if target.transport == "oci":
        raise Unsupported(f"{target}: writing an OCI folder comes later", hint="use oci-archive:FILE")
    format_ = "docker" if target.transport == "docker-archive" else "oci"
    return finish(save_file(hosts, wanted, target.path, format_, "none"), flags)
