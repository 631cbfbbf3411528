"""One ``Images.Push`` call: its first request, and its steps as replies."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from jackstay_agent.errors import InvalidArgument
from jackstay_agent.images.pushing import Pusher
from jackstay_agent.rpc.authorizing import Tell, conversation
from jackstay_oci.registry.authorizing import Authorizer
from jackstay_oci.registry.pushing import Phase, Step
from jackstay_proto.v1 import content_pb2
from jackstay_proto.v1 import images_pb2 as pb


async def push(pusher: Pusher, requests: AsyncIterator[pb.PushRequest]) -> AsyncGenerator[pb.PushReply, None]:
    """Push the image that the first request names."""
    first = await anext(requests, None)
    if first is None or first.WhichOneof("request") != "start":
        raise InvalidArgument("a push begins with its image")
    start = first.start

    async def work(authorizer: Authorizer, tell: Tell[pb.PushReply]) -> pb.PushReply:
        pushed = await pusher.push(
            start.image,
            start.destination,
            authorizer,
            lambda step: tell(_progress(step), needed=step.phase is not Phase.SENDING),
            platform=start.platform,
            compression=start.compression or "gzip",
        )
        root = content_pb2.Descriptor(
            media_type=pushed.root.media_type, digest=str(pushed.root.digest), size=pushed.root.size
        )
        done = pb.PushDone(root=root, bytes_sent=pushed.sent, bytes_spared=pushed.spared, warnings=pushed.warnings)
        return pb.PushReply(done=done)

    async with aclosing(conversation(requests, pb.PushReply, work)) as replies:
        async for reply in replies:
            yield reply


def _progress(step: Step) -> pb.PushReply:
    return pb.PushReply(
        progress=pb.PushProgress(
            digest=str(step.digest),
            phase=pb.PushProgress.Phase.Value(step.phase.value),
            current=step.current,
            total=step.total,
        )
    )
