"""What a copy will send to each host, and what it spares: decided before anything moves. Pure, but for the asking.

A blob that two images of one copy share is sent once and counted for the first, as the run counts it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jackstay.client import messages
from jackstay.copying.platform_choice import taken
from jackstay.copying.sources import RangeSource, SourceImage
from jackstay_oci.documents import Platform

if TYPE_CHECKING:
    from jackstay.client import AgentClient


@dataclass(frozen=True, slots=True)
class SourceShare:
    """Bytes that one source gives."""

    name: str
    via: str
    bytes: int


@dataclass(frozen=True, slots=True)
class HostPlan:
    """One image for one host."""

    image: str
    digest: str
    bytes_sent: int
    bytes_spared: int
    sources: tuple[SourceShare, ...]
    warnings: tuple[str, ...] = ()  # of what is attached to it


def plan_images(images: Sequence[SourceImage], missing: Collection[str], source_name: str, via: str) -> list[HostPlan]:
    """The plan for one host that lacks the blobs ``missing``."""
    lacking = set(missing)
    plans = []
    for image in images:
        sizes = {blob.digest: blob.size for blob in image.everything}
        sent = sum(size for digest, size in sizes.items() if digest in lacking)
        lacking -= sizes.keys()
        sources = (SourceShare(source_name, via, sent),) if sent else ()
        plans.append(HostPlan(image.label, image.root.digest, sent, sum(sizes.values()) - sent, sources))
    return plans


def closure(images: Sequence[SourceImage]) -> list[str]:
    """Every digest of the images, and of what is attached to them, once, in order."""
    return list(dict.fromkeys(blob.digest for image in images for blob in image.everything))


async def plan_agent(agent: AgentClient, source: RangeSource, images: Sequence[SourceImage]) -> list[HostPlan]:
    """Ask an agent what it lacks, and plan. Of an index it takes its platform's part, or what the image says.

    Raises:
        NotFound: an image is not for that platform.
    """
    own = Platform(os=agent.version.os or "linux", architecture=agent.version.architecture)
    taking = [await taken(source, image, own) for image in images]
    reply = await agent.content.missing(messages.MissingRequest(digests=closure(taking)))
    return plan_images(taking, reply.digests, source.name, source.via)
