"""One ``Images.Pull`` call: its first request, and its steps as replies."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from jackstay_agent.errors import InvalidArgument
from jackstay_agent.fetch.progress import Phase
from jackstay_agent.images.pulling import Puller
from jackstay_agent.rpc.authorizing import Tell, conversation
from jackstay_agent.rpc.fetching import fetched_image, progress
from jackstay_oci.registry.authorizing import Authorizer
from jackstay_proto.v1 import images_pb2 as pb


async def pull(puller: Puller, requests: AsyncIterator[pb.PullRequest]) -> AsyncGenerator[pb.PullReply, None]:
    """Pull the image that the first request names."""
    first = await anext(requests, None)
    if first is None or first.WhichOneof("request") != "start":
        raise InvalidArgument("a pull begins with its image")
    start = first.start

    async def work(authorizer: Authorizer, tell: Tell[pb.PullReply]) -> pb.PullReply:
        pulled = await puller.pull(
            start.reference,
            authorizer,
            lambda step: tell(pb.PullReply(progress=progress(step)), needed=step.phase is not Phase.RECEIVING),
            platform=start.platform,
            all_platforms=start.all_platforms,
            verify_keys=start.verify_keys,
        )
        given = [pb.GivenBytes(name=name, bytes=size) for name, size in pulled.given.items()]
        warnings = pulled.received.warnings
        return pb.PullReply(done=pb.PullDone(image=fetched_image(pulled.received), given=given, warnings=warnings))

    async with aclosing(conversation(requests, pb.PullReply, work)) as replies:
        async for reply in replies:
            yield reply
