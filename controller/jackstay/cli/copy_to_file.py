"""``jackstay copy`` into a file, a folder or standard output of this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from jackstay.cli.copying import Rows, Wanted
from jackstay.cli.invocation import no_objects, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.view import View
from jackstay.cli.output_file import OutputFile
from jackstay.cli.platform_flags import wanting
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.copying.archiving import Format
    from jackstay.copying.endpoints import ArchiveEndpoint, StreamEndpoint
    from jackstay.copying.plan import HostPlan
    from jackstay.copying.sources import RangeSource, SourceImage
    from jackstay.fleet import FleetResult
    from jackstay.library import Fleet, Hosts

HERE = "local"
"""What the destination is called in the output: this machine."""

Copy = Callable[["RangeSource", "list[SourceImage]"], "Awaitable[list[HostPlan]]"]


def copy_to_file(
    ctx: typer.Context, fleet: Fleet, wanted: Wanted, target: ArchiveEndpoint | StreamEndpoint, rows: Rows, view: View
) -> int:
    """Copy, or plan it; the exit code."""
    from jackstay.copying.endpoints import ArchiveEndpoint

    if isinstance(target, ArchiveEndpoint) and target.transport == "oci":
        return _show(ctx, fleet, wanted, partial(_to_folder, target.path, wanted.plan), rows, view)
    if wanted.plan:
        return _show(ctx, fleet, wanted, _everything, rows, view)
    flags = fleet_flags_of(ctx)
    archive = isinstance(target, ArchiveEndpoint)
    if not archive and (flags.json or flags.jsonl):
        raise UsageError("copy: --json and the archive cannot both go to standard output", hint="name a file")
    format_: Format = "oci" if str(target).startswith("oci-archive:") else "docker"
    with OutputFile.open(target.path if isinstance(target, ArchiveEndpoint) else "-", "copy") as out:
        copy = partial(_to_archive, out, format_, wanted.platform)
        return _show(ctx, fleet, wanted, copy, rows if archive else no_objects, view)


def _show(ctx: typer.Context, fleet: Fleet, wanted: Wanted, copy: Copy, rows: Rows, view: View) -> int:
    async def work(here: Hosts) -> FleetResult[list[dict[str, Any]]]:
        from jackstay.copying.copy import plan_objects
        from jackstay.fleet import FleetResult, Outcome

        begun = time.monotonic()
        async with fleet.source(wanted.source, wanted.platform) as (source, named):
            images = await source.images([*named, *wanted.names], all=wanted.all)
            objects = plan_objects(await copy(source, wanting(images, wanted.platform, all_platforms=False)))
        if not wanted.plan:
            objects = [each | {"seconds": round(time.monotonic() - begun, 3)} for each in objects]
        outcome: Outcome[list[dict[str, Any]]] = Outcome(HERE, "ok", objects)
        if here.on_outcome:  # which --jsonl prints by; no agent runs this work, so nobody else tells it
            here.on_outcome(outcome)
        return FleetResult((outcome,))

    return show(ctx, fleet.select(HERE), work, rows, view)


async def _to_folder(path: str, plan: bool, source: RangeSource, images: list[SourceImage]) -> list[HostPlan]:
    from jackstay.copying.platform_choice import alone
    from jackstay.copying.to_folder import copy_to_folder, plan_folder
    from jackstay_oci.archives.oci_folder import OciFolder

    folder = await asyncio.to_thread(OciFolder.at, path)
    images = [await alone(source, image) for image in images]
    return await (plan_folder if plan else copy_to_folder)(source, images, folder)


async def _everything(source: RangeSource, images: list[SourceImage]) -> list[HostPlan]:
    """An archive is written anew: nothing is spared."""
    from jackstay.copying.plan import closure, plan_images
    from jackstay.copying.platform_choice import alone

    images = [await alone(source, image) for image in images]
    return plan_images(images, closure(images), source.name, source.via)


async def _to_archive(
    out: OutputFile, format_: Format, platform: str, source: RangeSource, images: list[SourceImage]
) -> list[HostPlan]:
    from jackstay.cli.writing import write
    from jackstay.copying.archiving import write_images

    plans = await _everything(source, images)
    await write_images(source, images, format_, platform, partial(write, out.fd))
    await asyncio.to_thread(out.commit)
    return plans
