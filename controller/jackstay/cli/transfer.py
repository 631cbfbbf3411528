"""What ``copy`` and ``load`` share: a source is opened, its images go to hosts, with progress."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jackstay.cli.attached_warnings import warned
from jackstay.cli.progress import showing

if TYPE_CHECKING:
    from jackstay.cli.fleet_flags import FleetFlags
    from jackstay.copying.plan import HostPlan
    from jackstay.copying.sources import RangeSource, SourceImage
    from jackstay.fleet import FleetResult
    from jackstay.library import Hosts

Object = dict[str, Any]


async def transfer(
    hosts: Hosts, source: RangeSource, images: Sequence[SourceImage], flags: FleetFlags, *, quiet: bool
) -> FleetResult[list[Object]]:
    """Copy; the objects of ``data`` for every host."""
    from jackstay.copying.copy import copy_to_agent, fetched_objects, for_many
    from jackstay.copying.progress import CopyProgress

    progress = CopyProgress()
    for host in hosts:
        progress.host(host.name)

    async def work(agent: Any) -> list[Object]:
        begun = time.monotonic()
        fetched = await copy_to_agent(agent, shared, images, progress)
        return fetched_objects(fetched, images, source.name, source.via, time.monotonic() - begun)

    async with for_many(source, images, len(hosts)) as shared:
        async with showing(progress, quiet=quiet or flags.json or flags.jsonl):
            return warned(await hosts.run(work))


async def plan_transfer(hosts: Hosts, source: RangeSource, images: Sequence[SourceImage]) -> FleetResult[list[Object]]:
    """What :func:`transfer` would do; the objects of ``data``."""
    from jackstay.copying.copy import plan_objects
    from jackstay.copying.plan import plan_agent

    async def work(agent: Any) -> list[Object]:
        plans: list[HostPlan] = await plan_agent(agent, source, images)
        return plan_objects(plans)

    return await hosts.run(work)
