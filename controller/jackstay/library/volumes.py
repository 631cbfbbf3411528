"""Volumes on hosts."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jackstay.client import messages

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.fleet import FleetResult
    from jackstay.library.hosts import Hosts


class Volumes:
    """Verbs; each gives one outcome a host."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def create(self, name: str = "", labels: Mapping[str, str] | None = None) -> FleetResult[messages.Volume]:
        """Make a volume; without a name, an anonymous one."""

        async def work(agent: AgentClient) -> messages.Volume:
            request = messages.CreateVolumeRequest(name=name, labels=labels or {})
            return (await agent.volumes.create(request)).volume

        return await self._hosts.run(work)

    async def list(self, filters: Sequence[str] = ()) -> FleetResult[list[messages.Volume]]:
        """The volumes, by name."""

        async def work(agent: AgentClient) -> list[messages.Volume]:
            return list((await agent.volumes.list(messages.ListVolumesRequest(filters=filters))).volumes)

        return await self._hosts.run(work)

    async def inspect(self, names: Sequence[str]) -> FleetResult[builtins.list[messages.Volume]]:
        """The named volumes."""

        async def work(agent: AgentClient, name: str) -> messages.Volume:
            return (await agent.volumes.inspect(messages.InspectVolumeRequest(name=name))).volume

        return await self._hosts.each(names, work)

    async def remove(self, names: Sequence[str], *, force: bool = False) -> FleetResult[builtins.list[str]]:
        """Remove volumes; the names that are gone. With ``force`` a missing one is no error."""

        async def work(agent: AgentClient, name: str) -> str:
            await agent.volumes.remove(messages.RemoveVolumeRequest(name=name, force=force))
            return name

        return await self._hosts.each(names, work)

    async def prune(self, *, all: bool = False, filters: Sequence[str] = ()) -> FleetResult[messages.PruneVolumesReply]:
        """Remove anonymous volumes that no container uses; with ``all`` named ones too; those that fit ``filters``."""

        async def work(agent: AgentClient) -> messages.PruneVolumesReply:
            return await agent.volumes.prune(messages.PruneVolumesRequest(all=all, filters=filters))

        return await self._hosts.run(work)
