"""The agents on hosts."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jackstay.client import messages
from jackstay.errors import Damaged
from jackstay.library.merging import merged

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.fleet import FleetResult
    from jackstay.library.hosts import Hosts


@dataclass(slots=True)
class Checked:
    """What the check of one host found, and how much it looked at; ``done`` is ``None`` when it was cut."""

    findings: list[messages.CheckFinding] = field(default_factory=list)
    done: messages.CheckDone | None = None


@dataclass(slots=True)
class PrunedHost:
    """What went from one host: container ids, names of networks and volumes, image names and ids; and bytes."""

    containers: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    images: list[messages.RemovedImage] = field(default_factory=list)
    reclaimed: int = 0


class System:
    """Verbs; each gives one outcome a host."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def version(self) -> FleetResult[messages.VersionReply]:
        """Versions of agent, protocol, runtime and kernel."""

        async def work(agent: AgentClient) -> messages.VersionReply:
            return agent.version

        return await self._hosts.run(work)

    async def info(self) -> FleetResult[dict[str, Any]]:
        """Docker's ``info`` object."""

        async def work(agent: AgentClient) -> dict[str, Any]:
            document: dict[str, Any] = json.loads((await agent.system.info(messages.InfoRequest())).document)
            return document

        return await self._hosts.run(work)

    async def disk_usage(self) -> FleetResult[messages.DiskUsageReply]:
        """What takes space, by kind; and as ``document``, in JSON, every image, container, volume, blob and ingest."""

        async def work(agent: AgentClient) -> messages.DiskUsageReply:
            return await agent.system.disk_usage(messages.DiskUsageRequest())

        return await self._hosts.run(work)

    async def check(
        self, *, repair: bool = False, progress: Callable[[str, messages.CheckProgress], None] | None = None
    ) -> FleetResult[Checked]:
        """Read every digest again and compare rows with files; with ``repair`` put right what needs no source.

        A host where something is left to do has the outcome ``failed``, an error of kind ``DAMAGED``, and its findings
        as ``value`` all the same. ``progress`` is called with the host's name and how far a part of the check is.
        """
        checked: dict[str, Checked] = {}

        async def work(agent: AgentClient) -> Checked:
            name = agent.host.name
            told = checked[name] = Checked()
            async for reply in agent.system.check(messages.CheckRequest(repair=repair)):
                part = reply.WhichOneof("reply")
                if part == "progress" and progress is not None:
                    progress(name, reply.progress)
                elif part == "finding":
                    told.findings.append(reply.finding)
                elif part == "done":
                    told.done = reply.done
            left = [finding for finding in told.findings if not finding.repaired]
            if left:
                left_over = "1 thing" if len(left) == 1 else f"{len(left)} things"
                raise Damaged(
                    f"{name}: check: {left_over} left to do, the first: {left[0].thing} {left[0].name}",
                    hint=left[0].hint,
                )
            return told

        return await self._hosts.run(work, so_far=checked)

    async def prune(
        self, *, all: bool = False, volumes: bool = False, filters: Sequence[str] = ()
    ) -> FleetResult[PrunedHost]:
        """Remove stopped containers, networks without one, and dangling images, with ``all`` every unused one.

        With ``volumes`` anonymous volumes that no container uses, too. ``filters`` are "until=", "label=", "label!=";
        volumes have no time. A host that fails half way has what went until then as ``value``.
        """
        pruned: dict[str, PrunedHost] = {}

        async def work(agent: AgentClient) -> PrunedHost:
            gone = pruned[agent.host.name] = PrunedHost()
            containers = await agent.containers.prune(messages.PruneContainersRequest(filters=filters))
            gone.containers += containers.removed
            gone.reclaimed += containers.reclaimed
            networks = await agent.networks.prune(messages.PruneNetworksRequest(filters=filters))
            gone.networks += networks.removed
            if volumes:
                anonymous = await agent.volumes.prune(messages.PruneVolumesRequest(filters=filters))
                gone.volumes += anonymous.removed
                gone.reclaimed += anonymous.reclaimed
            images = await agent.images.prune(messages.PruneImagesRequest(all=all, filters=filters))
            gone.images += images.removed
            gone.reclaimed += images.reclaimed
            return gone

        return await self._hosts.run(work, so_far=pruned)

    async def events(
        self, *, filters: Sequence[str] = (), since_ns: int = 0, until_ns: int = 0
    ) -> AsyncGenerator[tuple[str, messages.Event], None]:
        """What happens on the hosts: a host's name and an event, in order for each host, none left out.

        From ``since_ns`` on (0: from now) until ``until_ns`` (0: without end), nanoseconds since 1970; ``filters`` are
        docker's, such as ``event=die``. Close the iterator to stop.

        Raises:
            AgentError: a host failed; what the others had told until they ended was given.
        """
        request = messages.EventsRequest(filters=filters, since_ns=since_ns, until_ns=until_ns)

        async def told(agent: AgentClient) -> AsyncIterator[messages.Event]:
            async for reply in agent.system.events(request):
                for event in reply.events:
                    yield event

        async with aclosing(merged(self._hosts, told, at_once=True)) as events:
            async for item in events:
                yield item
