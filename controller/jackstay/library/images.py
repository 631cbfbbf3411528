"""Images on hosts."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jackstay.client import messages
from jackstay.errors import Error

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.copying.plan import HostPlan
    from jackstay.copying.pouring import Write
    from jackstay.copying.progress import CopyProgress
    from jackstay.copying.serve import Fetched
    from jackstay.copying.sources import RangeSource, SourceImage
    from jackstay.fleet import FleetResult
    from jackstay.library.hosts import Hosts
    from jackstay_oci.registry.authorizing import Authorizer


class Images:
    """Verbs; each gives one outcome a host."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def fetch(
        self,
        source: RangeSource,
        images: Sequence[SourceImage],
        *,
        progress: CopyProgress | None = None,
    ) -> FleetResult[Fetched]:
        """Make ``images`` of ``source`` be on the hosts; each asks only for what it lacks."""
        from jackstay.copying.copy import copy_to_agent, for_many

        async with for_many(source, images, len(self._hosts)) as shared:

            async def work(agent: AgentClient) -> Fetched:
                return await copy_to_agent(agent, shared, images, progress)

            return await self._hosts.run(work)

    async def pull(
        self,
        names: Sequence[str],
        *,
        platform: str = "",
        all_platforms: bool = False,
        verify_keys: Sequence[bytes] = (),
        authorizer: Authorizer | None = None,
        progress: CopyProgress | None = None,
    ) -> FleetResult[builtins.list[dict[str, Any]]]:
        """Pull images of registries: one host asks the registry, the others copy from it; see :mod:`.pulling`.

        For every host and name an object as ``copy``'s, with ``changed``: whether the image was not there before.
        ``authorizer`` says who we are to registries; by default docker's configuration on this machine does.
        Where ``verify_keys`` (public keys, PEM) are given, one of them must have signed each image.

        Raises:
            InvalidReference: a name is malformed.
            InvalidArgument: a key is none.
        """
        from jackstay.library.pulling import Pulling, parsed

        references = {name: parsed(name) for name in names}
        wanted = Pulling(
            self._hosts,
            authorizer,
            platform=platform,
            all_platforms=all_platforms,
            verify_keys=verify_keys,
            progress=progress,
        )
        async with wanted as pulling:
            pulling.watch()

            async def work(agent: AgentClient, name: str) -> dict[str, Any]:
                return await pulling.pull(agent, references[name])

            return await self._hosts.each(names, work)

    async def push(
        self,
        name: str,
        destination: str = "",
        *,
        all_tags: bool = False,
        platform: str = "",
        compression: str = "gzip",
        authorizer: Authorizer | None = None,
        progress: CopyProgress | None = None,
    ) -> FleetResult[builtins.list[dict[str, Any]]]:
        """Push an image to the registry of its name or of ``destination``; with ``all_tags`` a whole repository.

        For every image an object with ``image``, ``digest`` (in the registry), ``bytes_sent``, ``bytes_spared`` and
        ``seconds``. Layers that are stored uncompressed are compressed: ``gzip``, ``zstd`` or ``none``. For one host.
        ``authorizer`` says who we are to the registry; by default docker's configuration on this machine does.

        Raises:
            InvalidReference: a name is malformed.
            UsageError: ``all_tags`` with a tag or a destination.
        """
        from jackstay.library.pulling import default_authorizer
        from jackstay.library.pushing import Pushing, destination_of

        to = destination_of(name, destination, all_tags=all_tags)
        pushing = Pushing(
            authorizer or default_authorizer(), platform=platform, compression=compression, progress=progress
        )

        async def work(agent: AgentClient) -> builtins.list[dict[str, Any]]:
            if all_tags:
                return await pushing.push_all(agent, to)
            return [await pushing.push(agent, name, to)]

        return await self._hosts.run(work)

    async def plan(self, source: RangeSource, images: Sequence[SourceImage]) -> FleetResult[list[HostPlan]]:
        """What :meth:`fetch` would send to every host, and what it would spare."""
        from jackstay.copying.plan import plan_agent

        async def work(agent: AgentClient) -> list[HostPlan]:
            return await plan_agent(agent, source, images)

        return await self._hosts.run(work)

    async def copy(self, source: str, *, images: Sequence[str] = (), all: bool = False) -> FleetResult[Fetched]:
        """Copy images from an endpoint (``web1::app:1``, ``docker-archive:FILE``, ``oci:DIR``) to the hosts.

        Raises:
            UsageError: the endpoint is malformed, or has not exactly the images that were asked for.
            Unsupported: the endpoint is of a kind that cannot be copied from yet.
            Unreachable: the source's host cannot be talked to.
        """
        async with self._hosts.fleet.source(source) as (opened, named):
            return await self.fetch(opened, await opened.images([*named, *images], all=all))

    async def save(
        self,
        names: Sequence[str],
        write: Write,
        *,
        format: str = "docker",
        compression: str = "none",
        platform: str = "",
    ) -> FleetResult[int]:
        """Stream an archive of images to ``write``, one piece while the next comes; the bytes written. For one host.

        Of an image for several platforms all that is there goes in, or only the one for ``platform``.
        """
        from jackstay.copying.pouring import pour

        async def work(agent: AgentClient) -> int:
            request = messages.SaveRequest(images=names, format=format, compression=compression, platform=platform)
            return await pour(agent.images.save(request), write)

        return await self._hosts.run(work)

    async def list(
        self, reference: str = "", *, all: bool = False, filters: Sequence[str] = ()
    ) -> FleetResult[list[messages.ImageSummary]]:
        """The images, newest first. A ``reference`` may be a pattern: ``ht*``, ``app:1.?``.

        With ``all`` also those that were removed by force and that containers still use.
        """

        async def work(agent: AgentClient) -> list[messages.ImageSummary]:
            request = messages.ListImagesRequest(all=all, filters=filters, reference=reference)
            return list((await agent.images.list(request)).images)

        return await self._hosts.run(work)

    async def inspect(self, names: Sequence[str]) -> FleetResult[builtins.list[dict[str, Any]]]:
        """Docker's ``image inspect`` objects."""
        import json

        async def work(agent: AgentClient, name: str) -> dict[str, Any]:
            reply = await agent.images.inspect(messages.InspectImageRequest(image=name))
            document: dict[str, Any] = json.loads(reply.document)
            return document

        return await self._hosts.each(names, work)

    async def history(self, image: str) -> FleetResult[builtins.list[messages.HistoryEntry]]:
        """How an image came to be, newest first."""

        async def work(agent: AgentClient) -> list[messages.HistoryEntry]:
            return list((await agent.images.history(messages.HistoryRequest(image=image))).entries)

        return await self._hosts.run(work)

    async def layers(self, names: Sequence[str] = ()) -> FleetResult[builtins.list[messages.ImageLayers]]:
        """What the images are made of; without ``names`` every image, newest first."""

        async def work(agent: AgentClient) -> list[messages.ImageLayers]:
            return [image async for image in agent.images.layers(messages.LayersRequest(images=names))]

        return await self._hosts.run(work)

    async def tag(self, source: str, target: str) -> FleetResult[None]:
        """Give an image another name."""

        async def work(agent: AgentClient) -> None:
            await agent.images.tag(messages.TagRequest(source=source, target=target))

        return await self._hosts.run(work)

    async def remove(
        self, names: Sequence[str], *, force: bool = False
    ) -> FleetResult[builtins.list[builtins.list[messages.RemovedImage]]]:
        """Remove names, and images that have none left; for each name what went.

        With ``force`` it is no error that there is no image of a name: nothing went then.
        """

        async def work(agent: AgentClient, name: str) -> list[messages.RemovedImage]:
            try:
                return list((await agent.images.remove(messages.RemoveImageRequest(image=name, force=force))).removed)
            except Error as error:
                if force and error.reason == "NOT_FOUND":
                    return []
                raise

        return await self._hosts.each(names, work)

    async def prune(self, *, all: bool = False, filters: Sequence[str] = ()) -> FleetResult[messages.PruneImagesReply]:
        """Remove images without a name that nothing uses; with ``all`` named ones too. Of all ``filters`` must hold."""

        async def work(agent: AgentClient) -> messages.PruneImagesReply:
            return await agent.images.prune(messages.PruneImagesRequest(all=all, filters=filters))

        return await self._hosts.run(work)

    async def import_tar(
        self,
        source: str,
        name: str = "",
        *,
        changes: Sequence[str] = (),
        message: str = "",
        platform: str = "",
        progress: CopyProgress | None = None,
    ) -> FleetResult[str]:
        """Make an image of a tar of a file system (a path, ``-`` for standard input, a URL); its id on each host.

        ``changes`` are Dockerfile instructions, ``message`` is for the history. Without a ``platform`` the image is for
        each host's own, so ids differ between hosts of different architectures.

        Raises:
            InvalidArgument: a change, the name, the platform or the URL is malformed.
            NotFound, UsageError: there is no such file.
            InvalidArchive: it is no tar.
            Error: it cannot be read, or there is no room for a copy here.
        """
        from jackstay.library.importing import import_tar

        return await import_tar(
            self._hosts, source, name, changes=changes, message=message, platform=platform, progress=progress
        )

    async def commit(self, request: messages.CommitRequest) -> FleetResult[str]:
        """Make an image of a container's changes; its id.

        Raises:
            InvalidArgument: a change is malformed; no host was asked.
        """
        if request.changes:
            from jackstay_oci.changes import instructions
            from jackstay_oci.image_config import ContainerConfig

            instructions.apply(ContainerConfig(), request.changes)

        async def work(agent: AgentClient) -> str:
            return (await agent.images.commit(request)).image_id

        return await self._hosts.run(work)
