"""One copy: a source's images to one agent, and what came of it as docker-like objects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from jackstay.copying.plan import HostPlan
from jackstay.copying.progress import CopyProgress
from jackstay.copying.serve import Fetched, serve
from jackstay.copying.shared_source import SharedSource
from jackstay.copying.sources import RangeSource, SourceImage

if TYPE_CHECKING:
    from jackstay.client import AgentClient


@asynccontextmanager
async def for_many(source: RangeSource, images: Sequence[SourceImage], destinations: int) -> AsyncIterator[RangeSource]:
    """The source for so many destinations: what is relayed to several is read once. The source itself stays open."""
    if destinations < 2 or source.via != "relay":
        yield source
        return
    shared = SharedSource(source, images)
    try:
        yield shared
    finally:
        await shared.close()


async def copy_to_agent(
    agent: AgentClient, source: RangeSource, images: Sequence[SourceImage], progress: CopyProgress | None = None
) -> Fetched:
    """Make the images be there. See :func:`jackstay.copying.serve.serve` for what it raises."""
    async with agent.lane() as lane:
        if progress is None:
            return await serve(agent, source, images, lane=lane)
        host = progress.host(agent.host.name)
        try:
            return await serve(agent, source, images, host.update, lane)
        finally:
            host.finished = True


def plan_objects(plans: Sequence[HostPlan]) -> list[dict[str, Any]]:
    """A plan as the elements of ``data``."""
    return [
        {
            "image": plan.image,
            "digest": plan.digest,
            "bytes_sent": plan.bytes_sent,
            "bytes_wire": plan.bytes_sent,
            "bytes_spared": plan.bytes_spared,
            "sources": [{"from": share.name, "via": share.via, "bytes": share.bytes} for share in plan.sources],
            "seconds": None,
            "warnings": list(plan.warnings),
        }
        for plan in plans
    ]


def fetched_objects(
    fetched: Fetched, images: Sequence[SourceImage], source_name: str, via: str, seconds: float
) -> list[dict[str, Any]]:
    """What a fetch did as the elements of ``data``. Bytes of a blob that images share count for the first, which has
    the warnings of all, too."""
    wire = dict(fetched.wire)
    wires: dict[str, int] = {}
    for image in images:
        digests = {blob.digest for blob in image.everything}
        wires.setdefault(image.root.digest, 0)
        wires[image.root.digest] += sum(wire.pop(digest, 0) for digest in digests)
    if images:  # what belongs to no known closure: count it, never lose it
        wires[images[0].root.digest] += sum(wire.values())
    warnings = [*(warning for image in images for warning in image.warnings), *fetched.done.warnings]
    objects: list[dict[str, Any]] = []
    for item in fetched.done.images:
        sources = [{"from": source_name, "via": via, "bytes": item.bytes_sent}] if item.bytes_sent else []
        objects.append(
            {
                "image": item.names[0] if item.names else item.image_id,
                "digest": item.root.digest,
                "bytes_sent": item.bytes_sent,
                "bytes_wire": wires.pop(item.root.digest, 0),
                "bytes_spared": item.bytes_spared,
                "sources": sources,
                "seconds": round(seconds, 3),
                "warnings": [] if objects else warnings,
            }
        )
    return objects
