"""The agents on hosts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jackstay.client import messages

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.fleet import FleetResult
    from jackstay.library.hosts import Hosts


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

    async def disk_usage(self) -> FleetResult[list[messages.DiskUsage]]:
        """What takes space, by kind."""

        async def work(agent: AgentClient) -> list[messages.DiskUsage]:
            return list((await agent.system.disk_usage(messages.DiskUsageRequest())).usage)

        return await self._hosts.run(work)
