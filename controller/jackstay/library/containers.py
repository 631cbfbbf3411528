"""Containers on hosts. Verbs that take several names go on after one fails; see :meth:`Hosts.each`."""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from jackstay.client import messages
from jackstay.errors import Error
from jackstay.library.bringing import Bringing
from jackstay.library.log_following import read_log
from jackstay.library.merging import merged
from jackstay.library.new_container import new_container

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.copying.container_copy import Copied
    from jackstay.copying.pouring import Write
    from jackstay.copying.progress import CopyProgress
    from jackstay.fleet import FleetResult
    from jackstay.library.hosts import Hosts


class Containers:
    """Verbs; each gives one outcome a host."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def create(
        self, request: messages.CreateContainerRequest, *, pull: str = "missing"
    ) -> FleetResult[messages.CreateContainerReply]:
        """Make a container; its image is pulled before, as ``pull`` ("always", "missing", "never") says.

        Raises:
            UsageError: there is no such policy.
        """
        async with Bringing(self._hosts, pull) as bringing:

            async def work(agent: AgentClient) -> messages.CreateContainerReply:
                return await bringing.create(agent, request)

            return await self._hosts.run(work)

    async def run(
        self, request: messages.CreateContainerRequest, *, pull: str = "missing"
    ) -> FleetResult[messages.CreateContainerReply]:
        """:meth:`create`, and start it, in the background. One that cannot be started is removed."""
        async with Bringing(self._hosts, pull) as bringing:

            async def work(agent: AgentClient) -> messages.CreateContainerReply:
                async with new_container(agent, bringing.create(agent, request)) as new:
                    await new.start()
                return new.reply

            return await self._hosts.run(work)

    async def start(self, names: Sequence[str]) -> FleetResult[list[str]]:
        """Start containers; their names."""

        async def work(agent: AgentClient, name: str) -> str:
            await agent.containers.start(messages.StartContainerRequest(container=name))
            return name

        return await self._hosts.each(names, work)

    async def stop(
        self, names: Sequence[str], *, timeout: int | None = None, signal: str = ""
    ) -> FleetResult[list[str]]:
        """Stop containers; ``timeout`` seconds until they are killed, and the ``signal``: absent, each one's own."""

        async def work(agent: AgentClient, name: str) -> str:
            request = messages.StopContainerRequest(container=name, timeout=timeout, signal=signal)
            await agent.containers.stop(request)
            return name

        return await self._hosts.each(names, work)

    async def restart(
        self, names: Sequence[str], *, timeout: int | None = None, signal: str = ""
    ) -> FleetResult[list[str]]:
        """Stop containers and start them again; see :meth:`stop`."""

        async def work(agent: AgentClient, name: str) -> str:
            request = messages.RestartContainerRequest(container=name, timeout=timeout, signal=signal)
            await agent.containers.restart(request)
            return name

        return await self._hosts.each(names, work)

    async def kill(self, names: Sequence[str], *, signal: str = "KILL") -> FleetResult[list[str]]:
        """Send a signal to containers."""

        async def work(agent: AgentClient, name: str) -> str:
            await agent.containers.kill(messages.KillContainerRequest(container=name, signal=signal))
            return name

        return await self._hosts.each(names, work)

    async def pause(self, names: Sequence[str]) -> FleetResult[list[str]]:
        """Freeze containers."""

        async def work(agent: AgentClient, name: str) -> str:
            await agent.containers.pause(messages.PauseContainerRequest(container=name))
            return name

        return await self._hosts.each(names, work)

    async def unpause(self, names: Sequence[str]) -> FleetResult[list[str]]:
        """Let frozen containers go on."""

        async def work(agent: AgentClient, name: str) -> str:
            await agent.containers.unpause(messages.UnpauseContainerRequest(container=name))
            return name

        return await self._hosts.each(names, work)

    async def remove(
        self, names: Sequence[str], *, force: bool = False, volumes: bool = False
    ) -> FleetResult[list[str]]:
        """Remove containers; running ones only with ``force``; with ``volumes`` their anonymous volumes too.

        With ``force`` it is no error that there is no container of a name: then "" is in its place.
        """

        async def work(agent: AgentClient, name: str) -> str:
            request = messages.RemoveContainerRequest(container=name, force=force, volumes=volumes)
            try:
                await agent.containers.remove(request)
            except Error as error:
                if not (force and error.reason == "NOT_FOUND"):
                    raise
                return ""
            return name

        return await self._hosts.each(names, work)

    async def rename(self, container: str, name: str) -> FleetResult[None]:
        """Give a container another name."""

        async def work(agent: AgentClient) -> None:
            await agent.containers.rename(messages.RenameContainerRequest(container=container, name=name))

        return await self._hosts.run(work)

    async def update(
        self,
        names: Sequence[str],
        *,
        resources: messages.Resources | None = None,
        restart: messages.RestartPolicy | None = None,
        warn: Callable[[str, str], None] = lambda host, warning: None,
    ) -> FleetResult[builtins.list[str]]:
        """Change limits and restart policies; what is 0, empty or absent stays. ``warn`` gets a host and its words."""

        async def work(agent: AgentClient, name: str) -> str:
            request = messages.UpdateContainerRequest(container=name, resources=resources, restart=restart)
            for warning in (await agent.containers.update(request)).warnings:
                warn(agent.host.name, warning)
            return name

        return await self._hosts.each(names, work)

    async def list(
        self, *, all: bool = False, filters: Sequence[str] = (), size: bool = False, last: int = 0
    ) -> FleetResult[list[messages.ContainerSummary]]:
        """The containers, newest first; only running ones unless ``all``."""

        async def work(agent: AgentClient) -> list[messages.ContainerSummary]:
            request = messages.ListContainersRequest(all=all, filters=filters, size=size, last=last)
            return list((await agent.containers.list(request)).containers)

        return await self._hosts.run(work)

    async def inspect(self, names: Sequence[str], *, size: bool = False) -> FleetResult[builtins.list[dict[str, Any]]]:
        """Docker's ``container inspect`` objects."""
        import json

        async def work(agent: AgentClient, name: str) -> dict[str, Any]:
            request = messages.InspectContainerRequest(container=name, size=size)
            document: dict[str, Any] = json.loads((await agent.containers.inspect(request)).document)
            return document

        return await self._hosts.each(names, work)

    async def top(self, container: str, ps_options: Sequence[str] = ()) -> FleetResult[messages.TopReply]:
        """The processes of a running container; ``ps_options`` are those of the host's ``ps``, none: ``-ef``."""
        request = messages.TopRequest(container=container, ps_options=ps_options)

        async def work(agent: AgentClient) -> messages.TopReply:
            return await agent.containers.top(request)

        return await self._hosts.run(work)

    async def stats(
        self, names: Sequence[str] = (), *, all: bool = False
    ) -> FleetResult[builtins.list[messages.ContainerStats]]:
        """What containers use now: the named ones, else the running ones, or ``all``."""
        request = messages.StatsRequest(containers=names, all=all)

        async def work(agent: AgentClient) -> builtins.list[messages.ContainerStats]:
            return [each async for reply in agent.containers.stats(request) for each in reply.containers]

        return await self._hosts.run(work)

    async def diff(self, container: str) -> FleetResult[builtins.list[messages.PathChange]]:
        """Which paths a container has changed over its image, by path."""

        async def work(agent: AgentClient) -> builtins.list[messages.PathChange]:
            request = messages.DiffContainerRequest(container=container)
            return [change async for reply in agent.containers.diff(request) for change in reply.changes]

        return await self._hosts.run(work)

    async def prune(self, *, filters: Sequence[str] = ()) -> FleetResult[messages.PruneContainersReply]:
        """Remove the containers without a process that fit ``filters`` (``until``, ``label``, ``label!``)."""

        async def work(agent: AgentClient) -> messages.PruneContainersReply:
            return await agent.containers.prune(messages.PruneContainersRequest(filters=filters))

        return await self._hosts.run(work)

    async def exists(self, container: str) -> FleetResult[bool]:
        """Whether a container of that name, id or unambiguous start of one is there."""

        async def work(agent: AgentClient) -> bool:
            try:
                await agent.containers.inspect(messages.InspectContainerRequest(container=container))
            except Error as error:
                if error.reason != "NOT_FOUND":
                    raise
                return False
            return True

        return await self._hosts.run(work)

    async def wait(self, names: Sequence[str], *, condition: str = "not-running") -> FleetResult[builtins.list[int]]:
        """Wait until containers are in ``condition``; their exit codes."""

        async def work(agent: AgentClient, name: str) -> int:
            request = messages.WaitContainerRequest(container=name, condition=condition)
            return (await agent.containers.wait(request)).exit_code

        return await self._hosts.each(names, work)

    async def export(self, container: str, write: Write) -> FleetResult[int]:
        """Stream a tar of a container's file system to ``write``; the bytes written. Meant for one host."""
        from jackstay.copying.pouring import pour

        async def work(agent: AgentClient) -> int:
            request = messages.ExportContainerRequest(container=container)
            return await pour(agent.containers.export(request), write)

        return await self._hosts.run(work)

    async def copy(
        self,
        source: str,
        destination: str,
        *,
        follow_link: bool = False,
        keep_owner: bool = False,
        write: Write | None = None,
        progress: CopyProgress | None = None,
    ) -> FleetResult[Copied]:
        """Copy files between this machine and a container, as docker's ``cp`` does: one side is ``CONTAINER:PATH``.

        Into a container on several hosts at once; out of one it is meant for one host. ``-`` is a tar: from standard
        input, or to ``write``.

        Args:
            follow_link: also a link at the end of the source.
            keep_owner: files keep their owners, else they are root's in a container and the caller's here.

        Raises:
            UsageError: not one side is in a container.
        """
        from jackstay.library.copying_files import copy_files

        return await copy_files(
            self._hosts,
            source,
            destination,
            follow_link=follow_link,
            keep_owner=keep_owner,
            write=write,
            progress=progress,
        )

    async def logs(
        self, container: str, *, follow: bool = False
    ) -> AsyncGenerator[tuple[str, messages.LogEntry], None]:
        """What a container wrote on every host: the host's name and an entry, in order for each host.

        Raises:
            Error: a host failed; what the others had said until then was given.
        """
        request = messages.LogsRequest(container=container, follow=follow, stdout=True, stderr=True)

        async def told(agent: AgentClient) -> AsyncIterator[messages.LogEntry]:
            async with aclosing(read_log(agent, request)) as batches:
                async for entries in batches:
                    for entry in entries:
                        yield entry

        async with aclosing(merged(self._hosts, told, at_once=follow)) as entries:
            async for item in entries:
                yield item
