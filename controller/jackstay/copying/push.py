"""One push: an agent puts an image of its host into a registry, and what came of it as an element of ``data``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackstay.client import messages
from jackstay.copying.authorizing import Authorizing
from jackstay.errors import AgentError
from jackstay_oci.reference import Reference

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.copying.progress import HostProgress
    from jackstay_oci.registry.authorizing import Authorizer

PRESENT, MOUNTED, SENDING, SENT = range(2, 6)
"""``PushProgress.Phase``, after ``COMPRESSING``."""


async def push_from_agent(
    agent: AgentClient,
    image: str,
    destination: Reference,
    authorizer: Authorizer,
    *,
    platform: str = "",
    compression: str = "gzip",
    progress: HostProgress | None = None,
) -> messages.PushDone:
    """Have the agent push; who it is to the registry, it is told by ``authorizer``.

    Raises:
        Error: the agent's own, among them what the registry said.
    """
    async with agent.images.push() as call:
        start = messages.PushStart(
            image=image, destination=str(destination), platform=platform, compression=compression
        )
        await call.write(messages.PushRequest(start=start))

        async def write(given: messages.AuthorizationGiven) -> None:
            await call.write(messages.PushRequest(authorization=given))

        authorizing = Authorizing(
            write, authorizer, destination.registry, destination.repository, ("pull", "push"), others=True
        )
        try:
            async for reply in call:
                kind = reply.WhichOneof("reply")
                if kind == "authorization":
                    authorizing.answer(reply.authorization)
                elif kind == "progress" and progress is not None:
                    _take_in(progress, reply.progress)
                elif kind == "done":
                    await authorizing.close()
                    await call.done_writing()
                    return reply.done
        finally:
            await authorizing.close()
        raise AgentError("INTERNAL", f"the agent on {agent.host.name} ended the push without a result")


def pushed_object(done: messages.PushDone, destination: Reference, seconds: float) -> dict[str, Any]:
    """What a push did, as an element of ``data``."""
    return {
        "image": str(destination),
        "digest": done.root.digest,
        "bytes_sent": done.bytes_sent,
        "bytes_spared": done.bytes_spared,
        "seconds": round(seconds, 3),
        "warnings": list(done.warnings),
    }


def _take_in(progress: HostProgress, event: messages.PushProgress) -> None:
    if event.phase in (SENDING, SENT):
        progress.phase = "sending"
        progress.count(event.digest, event.total if event.phase == SENT else event.current, event.total)
    elif event.phase not in (PRESENT, MOUNTED):
        progress.phase = "compressing"
