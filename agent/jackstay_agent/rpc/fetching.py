"""One ``Images.Fetch`` call: the stream's two directions, and the receiving between them.

The replies go through one bounded queue: what the agent wants and the end wait for room, steps of progress that find
none are dropped. When the stream breaks, the fetch ends as failed and keeps what came. When the fetch fails, the caller
is asked to be silent before it is told why.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from jackstay_agent.errors import InvalidArgument, InvalidDocument
from jackstay_agent.fetch.progress import Phase, Progress
from jackstay_agent.images.attached import offered
from jackstay_agent.images.documents import Target
from jackstay_agent.images.pulling import name_of
from jackstay_agent.images.receiving import Received, Receiver
from jackstay_agent.images.service import canonical_name
from jackstay_agent.rpc.lanes import Lanes
from jackstay_agent.rpc.sources.controller import ControllerSource
from jackstay_oci import platforms
from jackstay_oci.attached.gathering import Ask
from jackstay_oci.attached.offer import Offer, is_kind
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.reference import Reference
from jackstay_proto.v1 import content_pb2
from jackstay_proto.v1 import images_pb2 as pb

_REPLIES = 64
_EVENTS = ("load", "import", "pull")
_SILENCE = 5.0
"""Seconds for which a caller that was told of a failure may go on sending before the call is ended."""


async def fetch(
    receiver: Receiver,
    requests: AsyncIterator[pb.FetchRequest],
    lanes: Lanes | None = None,
    accept: Callable[[Target], None] = lambda target: None,
) -> AsyncGenerator[pb.FetchReply, None]:
    """Receive the images that the first request names, asking for ranges in the replies. *accept* raises for those that
    may not come this way."""
    first = await anext(requests, None)
    if first is None or first.WhichOneof("request") != "start":
        raise InvalidArgument("a fetch begins with its images")
    targets = [(_target(image), _attached(image)) for image in first.start.images]
    for target, _ in targets:
        accept(target)
    replies: asyncio.Queue[pb.FetchReply | None] = asyncio.Queue(_REPLIES)
    source = ControllerSource(first.start.source or "the controller", replies.put)

    lane = first.start.lane

    def leave_lane() -> None:
        if lane and lanes is not None:
            lanes.leave(lane)

    async def listen() -> None:
        try:
            async for request in requests:
                await source.deliver(request)
        finally:
            source.lose()

    async def work() -> None:
        try:
            received = [
                await receiver.receive(target, [source], lambda step: _report(replies, step), ask)
                for target, ask in targets
            ]
            await replies.put(pb.FetchReply(done=_done(received)))
        finally:
            # The reader of the queue may be gone with the call; then nobody needs the end.
            with contextlib.suppress(asyncio.QueueFull):
                replies.put_nowait(None)

    if lane and lanes is not None:
        lanes.join(lane, source)
    listening = asyncio.create_task(listen())
    working = asyncio.create_task(work())
    try:
        while True:
            if working.done() and replies.empty():
                break
            reply = await replies.get()
            if reply is None:
                break
            yield reply
        try:
            await working
        except Exception:
            leave_lane()  # whoever writes there would wait for a reader
            yield pb.FetchReply(stopping=pb.FetchStopping())
            await asyncio.wait([listening], timeout=_SILENCE)
            raise
    finally:
        leave_lane()
        for task in (working, listening):
            task.cancel()
        await asyncio.gather(working, listening, return_exceptions=True)


def _target(image: pb.ImageTarget) -> Target:
    if image.root.size > 1 << 40:
        raise InvalidDocument(f"a manifest of {image.root.size} bytes")
    root = Descriptor(media_type=image.root.media_type, digest=Digest.parse(image.root.digest), size=image.root.size)
    return Target(
        root,
        tuple(_name(name, root.digest) for name in image.names),
        platform=platforms.parse(image.platform) if image.platform else None,
        all_platforms=image.all_platforms,
        manifests=frozenset(Digest.parse(digest) for digest in image.manifests),
        event=image.event if image.event in _EVENTS else _EVENTS[0],
        pulled=image.pulled,
    )


def _attached(image: pb.ImageTarget) -> Ask | None:
    """Answers what is attached to the image, from what the controller offers; None where that is nothing."""
    offers = []
    for one in image.attached:
        if one.kind and not is_kind(one.kind):
            raise InvalidDocument(f"{one.document.digest[:100]} is attached by a tag that is none: {one.kind[:100]!r}")
        described = one.document
        document = Descriptor(
            media_type=described.media_type, digest=Digest.parse(described.digest), size=described.size
        )
        offers.append(Offer(document, Digest.parse(one.about), one.kind))
    return offered(offers) if offers else None


def _name(text: str, root: Digest) -> str:
    """A name that the image may get: with a tag, or with its own digest, as one that was pulled by that has."""
    reference = Reference.parse(text)
    if reference.digest == root and reference.tag is None:
        return str(name_of(reference))
    return canonical_name(text)


def _report(replies: asyncio.Queue[pb.FetchReply | None], step: Progress) -> None:
    if replies.qsize() >= _REPLIES // 2 and step.phase is Phase.RECEIVING:
        return
    with contextlib.suppress(asyncio.QueueFull):
        replies.put_nowait(pb.FetchReply(progress=progress(step)))


def progress(step: Progress) -> pb.FetchProgress:
    """The message that tells of *step*."""
    return pb.FetchProgress(
        digest=str(step.digest),
        phase=pb.FetchProgress.Phase.Value(step.phase.value),
        current=step.current,
        total=step.total,
    )


def _done(received: list[Received]) -> pb.FetchDone:
    return pb.FetchDone(
        images=map(fetched_image, received),
        bytes_sent=sum(each.sent for each in received),
        bytes_spared=sum(each.spared for each in received),
        warnings=dict.fromkeys(warning for each in received for warning in each.warnings),
    )


def fetched_image(received: Received) -> pb.FetchedImage:
    """The message that tells of an image that is here now."""
    root = received.target.root
    return pb.FetchedImage(
        names=received.target.names,
        image_id=str(received.image_id),
        root=content_pb2.Descriptor(media_type=root.media_type, digest=str(root.digest), size=root.size),
        changed=received.changed,
        bytes_sent=received.sent,
        bytes_spared=received.spared,
    )
