"""``jackstay copy`` onto hosts: through this machine, or by a registry that they ask themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from jackstay.cli.copying import Rows, Wanted
from jackstay.cli.invocation import show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.view import View
from jackstay.cli.platform_flags import wanting
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.copying.endpoints import HostsEndpoint
    from jackstay.copying.sources import SourceImage
    from jackstay.fleet import FleetResult
    from jackstay.library import Fleet, Hosts

    Result = FleetResult[list[dict[str, Any]]]


def copy_to_hosts(
    ctx: typer.Context, fleet: Fleet, wanted: Wanted, targets: Sequence[HostsEndpoint], rows: Rows, view: View
) -> int:
    """Copy, or plan it; the exit code."""
    from jackstay.copying.endpoints import RegistryEndpoint
    from jackstay.library.sources import parse_endpoint

    flags = fleet_flags_of(ctx)
    name = _one_name(targets)
    source = parse_endpoint(wanted.source)
    # Hosts that ask a registry take the image under its own name.
    pulled = source.reference if isinstance(source, RegistryEndpoint) and wanted.via != "relay" else ""
    if pulled and name is not None:
        if wanted.via == "registry":
            raise UsageError(f"copy: hosts that ask a registry cannot call it {name}", hint="write HOSTS:: alone")
        pulled = ""
    hosts = fleet.select(*(target.hosts for target in targets), exclude=flags.exclude, limit=flags.limit)

    async def relayed(hosts: Hosts) -> Result:
        from jackstay.cli.transfer import plan_transfer, transfer

        async with fleet.source(wanted.source, wanted.platform) as (opened, named):
            images = await opened.images([*named, *wanted.names], all=wanted.all)
            images = wanting(_renamed(images, name), wanted.platform, wanted.all_platforms)
            if wanted.plan:
                return await plan_transfer(hosts, opened, images)
            return await transfer(hosts, opened, images, flags, quiet=wanted.quiet)

    async def by_registry(hosts: Hosts) -> Result:
        from jackstay.cli.attached_warnings import warned
        from jackstay.cli.progress import showing
        from jackstay.copying.progress import CopyProgress

        progress = CopyProgress()
        for host in hosts:
            progress.host(host.name)
        async with showing(progress, quiet=wanted.quiet or flags.json or flags.jsonl):
            result = await hosts.images.pull(
                [pulled], platform=wanted.platform, all_platforms=wanted.all_platforms, progress=progress
            )
        return warned(result)

    def planned(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for share in (share for item in items for share in item["sources"]):
            share["via"] = "registry"
        return rows(items)

    if not pulled:
        return show(ctx, hosts, relayed, rows, view)
    return show(ctx, hosts, relayed, planned, view) if wanted.plan else show(ctx, hosts, by_registry, rows, view)


def _one_name(targets: Sequence[HostsEndpoint]) -> str | None:
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
