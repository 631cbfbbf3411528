"""``jackstay copy`` into a registry: by the host that has the image, or through this machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import typer

from jackstay.cli.copying import Rows, Wanted
from jackstay.cli.invocation import show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.view import View
from jackstay.cli.platform_flags import wanting
from jackstay.cli.progress import showing
from jackstay.cli.registry_result import show_registry
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.copying.endpoints import HostsEndpoint, RegistryEndpoint
    from jackstay.copying.progress import HostProgress
    from jackstay.fleet import FleetResult
    from jackstay.library import Fleet, Hosts
    from jackstay_oci.reference import Reference
    from jackstay_oci.registry.pushing import Report, Step


def copy_to_registry(
    ctx: typer.Context, fleet: Fleet, wanted: Wanted, target: RegistryEndpoint, rows: Rows, view: View
) -> int:
    """Copy, or plan it; the exit code. Of an image for several platforms all goes there, or the one for a platform."""
    from jackstay.copying.endpoints import HostsEndpoint
    from jackstay.library.sources import parse_endpoint
    from jackstay_oci.reference import Reference

    destination = Reference.parse(target.reference)
    source = parse_endpoint(wanted.source)
    if isinstance(source, HostsEndpoint) and wanted.via != "relay":
        return _pushed(ctx, fleet, wanted, source, target.reference, rows, view)
    if wanted.via == "registry":
        raise UsageError("--via registry: no host is at an end", hint="leave --via away")
    return _relayed(ctx, fleet, wanted, destination, rows, view)


def _pushed(
    ctx: typer.Context, fleet: Fleet, wanted: Wanted, source: HostsEndpoint, destination: str, rows: Rows, view: View
) -> int:
    """The host pushes the image itself."""
    if wanted.plan:
        raise UsageError(
            "copy: what a host will send to a registry is known when it has compressed it",
            hint="plan a copy through this machine: --via relay",
        )
    names = [*([source.image] if source.image else []), *wanted.names]
    hosts = fleet.select(source.hosts)
    if len(hosts) != 1:
        raise UsageError(f"{wanted.source}: a source is one host, {source.hosts} are {len(hosts)}")
    if len(names) != 1 or wanted.all:
        raise UsageError(f"copy: {destination} is the name of one image", hint="copy each in a run of its own")
    flags = fleet_flags_of(ctx)
    (host,) = hosts.names

    def whole(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return rows([_with_source(item, host) for item in items])

    async def work(hosts: Hosts) -> FleetResult[list[dict[str, Any]]]:
        from jackstay.cli.attached_warnings import warned
        from jackstay.copying.progress import CopyProgress

        progress = CopyProgress()
        async with showing(progress, quiet=wanted.quiet or flags.json or flags.jsonl):
            result = await hosts.images.push(names[0], destination, platform=wanted.platform, progress=progress)
        return warned(result)

    return show(ctx, hosts, work, whole, view)


def _with_source(item: dict[str, Any], host: str) -> dict[str, Any]:
    """What a push did, as what a copy did."""
    sent = item["bytes_sent"]
    sources = [{"from": host, "via": "registry", "bytes": sent}] if sent else []
    return item | {"bytes_wire": sent, "sources": sources}


def _relayed(ctx: typer.Context, fleet: Fleet, wanted: Wanted, destination: Reference, rows: Rows, view: View) -> int:
    """This machine pushes what it reads of the source."""
    flags = fleet_flags_of(ctx)

    async def work() -> list[dict[str, Any]]:
        from jackstay.cli.attached_warnings import warn
        from jackstay.copying.copy import plan_objects
        from jackstay.copying.platform_choice import alone
        from jackstay.copying.progress import CopyProgress
        from jackstay.copying.to_registry import copy_to_registry, plan_registry
        from jackstay.library.registries import opened

        begun = time.monotonic()
        progress = CopyProgress()
        async with (
            fleet.source(wanted.source, wanted.platform) as (source, named),
            opened(destination.registry) as registry,
            showing(progress, quiet=wanted.quiet or wanted.plan or flags.json or flags.jsonl),
        ):
            images = await source.images([*named, *wanted.names], all=wanted.all)
            if len(images) != 1:
                raise UsageError(
                    f"copy: {len(images)} images cannot all be called {destination.familiar}",
                    hint="copy each in a run of its own",
                )
            (image,) = [await alone(source, one) for one in wanting(images, wanted.platform, all_platforms=False)]
            if wanted.plan:
                return rows(plan_objects([await plan_registry(source, image, registry, destination)]))
            report = _counting(progress.host(destination.registry))
            done = await copy_to_registry(source, image, registry, destination, report)
        (item,) = plan_objects([done])
        warn(destination.registry, [item])
        return rows([item | {"seconds": round(time.monotonic() - begun, 3)}])

    return show_registry(ctx, destination.registry, work, view)


def _counting(progress: HostProgress) -> Report:
    """Counts what is sent."""
    progress.phase = "sending"

    def report(step: Step) -> None:
        if step.phase.value in ("SENDING", "SENT"):
            progress.count(str(step.digest), step.current, step.total)

    return report
