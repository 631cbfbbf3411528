"""``jackstay copy`` into a registry, through this machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import typer

from jackstay.cli.copying import Rows, Wanted
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.view import View
from jackstay.cli.platform_flags import wanting
from jackstay.cli.progress import showing
from jackstay.cli.registry_result import show_registry
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.copying.endpoints import RegistryEndpoint
    from jackstay.copying.progress import HostProgress
    from jackstay.library import Fleet
    from jackstay_oci.registry.pushing import Report, Step


def copy_to_registry(
    ctx: typer.Context, fleet: Fleet, wanted: Wanted, target: RegistryEndpoint, rows: Rows, view: View
) -> int:
    """Copy, or plan it; the exit code. Of an image for several platforms all goes there, or the one for a platform."""
    from jackstay_oci.reference import Reference

    flags = fleet_flags_of(ctx)
    destination = Reference.parse(target.reference)

    async def work() -> list[dict[str, Any]]:
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
        return rows([item | {"seconds": round(time.monotonic() - begun, 3)}])

    return show_registry(ctx, destination.registry, work, view)


def _counting(progress: HostProgress) -> Report:
    """Counts what is sent."""
    progress.phase = "sending"

    def report(step: Step) -> None:
        if step.phase.value in ("SENDING", "SENT"):
            progress.count(str(step.digest), step.current, step.total)

    return report
