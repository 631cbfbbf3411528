"""``jackstay copy``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from jackstay.cli.copying import Wanted
from jackstay.cli.invocation import open_fleet
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.view import Lines, Table
from jackstay.cli.platform_flags import AllPlatformsFlag, PlatformFlag, canonical_platform
from jackstay.errors import UsageError

VIAS = ("auto", "registry", "relay")
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
    via: Annotated[
        str, typer.Option("--via", metavar="auto|registry|relay", help="Who asks a registry: hosts, or this machine.")
    ] = "auto",
) -> int:
    """Copy images between hosts, registries and archives.

    An end is HOSTS::IMAGE, docker://NAME (a registry's), docker-archive:FILE, oci-archive:FILE, oci:DIR or - (standard
    input or output). A destination may be HOSTS:: alone: the image keeps its name. Every host asks only for what it
    lacks, and a folder or a registry gets only that. Of an image for several platforms a host takes its own part, an
    archive, a folder or a registry all.

    \b
    Examples:
      jackstay copy docker-archive:app.tar '@web::'
      jackstay copy web1::httpd:1.1 'web[2-3]::'
      jackstay copy --plan web1::app:1 'web[2-40]::'
      jackstay copy web1::app:1 docker-archive:app.tar
      jackstay copy web1::app:1 oci:images
      jackstay copy --all-platforms oci-archive:multi.tar 'web[1-3]::'
      jackstay copy docker://registry.example:5000/app:1 '@web::'
      jackstay copy docker://httpd:2.4 docker://registry.example:5000/httpd:2.4
    """
    from jackstay.copying.endpoints import HostsEndpoint, RegistryEndpoint
    from jackstay.library.sources import parse_endpoint

    if len(ends) < 2:
        raise UsageError("copy: a source and at least one destination are needed")
    flags = fleet_flags_of(ctx)
    if flags.hosts:
        raise UsageError(
            "copy: hosts are named in the endpoints, not with -H", hint=f"for example {ends[0]} 'web[2-3]::'"
        )
    platform = canonical_platform(platform, all_platforms=all_platforms)
    fleet = open_fleet(flags)
    source = parse_endpoint(ends[0])
    wanted = [*([source.image] if isinstance(source, HostsEndpoint) and source.image else []), *(image or ())]
    if all_ and wanted:
        raise UsageError("copy: either --all or images' names")
    targets = [parse_endpoint(text) for text in ends[1:]]
    if isinstance(source, RegistryEndpoint) and (all_ or image):
        raise UsageError(
            "copy: the image of a registry is named in the endpoint",
            hint="copy each in a run of its own; `jackstay registry tags` lists what there is",
        )
    if via not in VIAS:
        raise UsageError(f"--via {via!r}: not auto, registry or relay")
    if via == "registry" and not any(isinstance(end, RegistryEndpoint) for end in (source, *targets)):
        raise UsageError("--via registry: no end is a registry", hint="a registry is written docker://NAME")
    hosts_targets = [target for target in targets if isinstance(target, HostsEndpoint)]
    view = Table(PLAN_COLUMNS) if plan else Lines(copied_line)
    rows = _plan_rows if plan and not (flags.json or flags.jsonl) else list
    asked = Wanted(ends[0], image or (), all_, platform, all_platforms, plan, quiet, via)
    if len(hosts_targets) == len(targets):
        from jackstay.cli.copy_to_hosts import copy_to_hosts

        return copy_to_hosts(ctx, fleet, asked, hosts_targets, rows, view)
    if len(targets) != 1:
        raise UsageError(
            "copy: an archive, a folder or a registry is the only destination", hint="copy to it in a run of its own"
        )
    (target,) = targets
    if isinstance(target, RegistryEndpoint):
        from jackstay.cli.copy_to_registry import copy_to_registry

        return copy_to_registry(ctx, fleet, asked, target, rows, view)
    from jackstay.cli.copy_to_file import copy_to_file

    return copy_to_file(ctx, fleet, asked, target, rows, view)  # type: ignore[arg-type]  # no other is left


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
