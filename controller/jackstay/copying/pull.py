"""One pull: an agent takes an image from a registry, and what came of it as an element of ``data``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackstay.client import messages
from jackstay.copying.authorizing import Authorizing
from jackstay.errors import AgentError
from jackstay_oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackstay.client import AgentClient
    from jackstay.copying.progress import HostProgress
    from jackstay_oci.registry.authorizing import Authorizer


async def pull_to_agent(
    agent: AgentClient,
    reference: Reference,
    authorizer: Authorizer,
    *,
    platform: str = "",
    all_platforms: bool = False,
    verify_keys: Sequence[bytes] = (),
    progress: HostProgress | None = None,
) -> messages.PullDone:
    """Have the agent pull; who it is to the registry, it is told by ``authorizer``.

    Where ``verify_keys`` (public keys, PEM) are given, one of them must have signed the image.

    Raises:
        Error: the agent's own, among them what the registry said.
    """
    async with agent.images.pull() as call:
        start = messages.PullStart(
            reference=str(reference), platform=platform, all_platforms=all_platforms, verify_keys=verify_keys
        )
        await call.write(messages.PullRequest(start=start))

        async def write(given: messages.AuthorizationGiven) -> None:
            await call.write(messages.PullRequest(authorization=given))

        authorizing = Authorizing(write, authorizer, reference.registry, reference.repository)
        try:
            async for reply in call:
                kind = reply.WhichOneof("reply")
                if kind == "authorization":
                    authorizing.answer(reply.authorization)
                elif kind == "progress" and progress is not None:
                    progress.update(reply.progress)
                elif kind == "done":
                    await authorizing.close()
                    await call.done_writing()
                    return reply.done
        finally:
            await authorizing.close()
        raise AgentError("INTERNAL", f"the agent on {agent.host.name} ended the pull without a result")


def pulled_object(done: messages.PullDone, reference: Reference, seconds: float) -> dict[str, Any]:
    """What a pull did, as an element of ``data``: as a copy's, and whether anything changed."""
    sources = [{"from": each.name, "via": "registry", "bytes": each.bytes} for each in done.given]
    return {
        "image": str(reference),
        "digest": done.image.root.digest,
        "bytes_sent": done.image.bytes_sent,
        "bytes_wire": sum(each.bytes for each in done.given),
        "bytes_spared": done.image.bytes_spared,
        "sources": sources,
        "seconds": round(seconds, 3),
        "changed": done.image.changed,
        "warnings": list(done.warnings),
    }
