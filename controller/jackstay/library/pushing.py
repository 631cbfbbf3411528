"""What a push is asked for, as the references that it means."""

from __future__ import annotations

import builtins
import time
from typing import TYPE_CHECKING, Any

from jackstay.client import messages
from jackstay.copying.push import push_from_agent, pushed_object
from jackstay.errors import InvalidReference, NotFound, UsageError
from jackstay_oci.reference import Reference

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.copying.progress import CopyProgress
    from jackstay_oci.registry.authorizing import Authorizer


def destination_of(name: str, destination: str = "", *, all_tags: bool = False) -> Reference:
    """Where a push of *name* goes: its own name there, or *destination*; with *all_tags* a repository.

    Raises:
        InvalidReference: one of them is malformed, or reads as a digest.
        UsageError: the repository of all tags has a tag.
    """
    reference = Reference.parse(destination or name)
    if reference.familiar_name == "sha256":
        raise InvalidReference(
            f"{destination or name!r} cannot be pushed to: it reads as a digest", hint="say where to push it: NAME DEST"
        )
    if not all_tags:
        return reference.with_digest(reference.digest) if reference.digest else reference.with_default_tag()
    if destination or reference.tag or reference.digest:
        raise UsageError("push: neither a tag nor a destination goes with --all-tags", hint="name the repository alone")
    return reference


class Pushing:
    """Pushes of one run; *authorizer* says who we are to registries."""

    def __init__(
        self, authorizer: Authorizer, *, platform: str, compression: str, progress: CopyProgress | None = None
    ) -> None:
        self._authorizer = authorizer
        self._platform = platform
        self._compression = compression
        self._progress = progress

    async def push(self, agent: AgentClient, image: str, destination: Reference) -> dict[str, Any]:
        """Push one image; an element of ``data``."""
        begun = time.monotonic()
        done = await push_from_agent(
            agent,
            image,
            destination,
            self._authorizer,
            platform=self._platform,
            compression=self._compression,
            progress=self._progress.host(agent.host.name) if self._progress else None,
        )
        return pushed_object(done, destination, time.monotonic() - begun)

    async def push_all(self, agent: AgentClient, repository: Reference) -> builtins.list[dict[str, Any]]:
        """Push every tag that the host has of the repository, one after another.

        Raises:
            NotFound: it has none.
        """
        request = messages.ListImagesRequest(reference=repository.familiar_name)
        listed = (await agent.images.list(request)).images
        tags = sorted(image.tag for image in listed if image.repository == repository.familiar_name)
        named = [repository.with_tag(tag) for tag in tags if tag != "<none>"]
        if not named:
            raise NotFound(
                f"No such image: {repository.familiar_name}", hint="see the images there with: jackstay images"
            )
        return [await self.push(agent, str(one), one) for one in named]
