"""Networks on hosts."""

from __future__ import annotations

import builtins
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jackstay.client import messages

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.fleet import FleetResult
    from jackstay.library.hosts import Hosts


class Networks:
    """Verbs; each gives one outcome a host."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def list(self, filters: Sequence[str] = ()) -> FleetResult[list[messages.NetworkSummary]]:
        """The networks, by name."""

        async def work(agent: AgentClient) -> list[messages.NetworkSummary]:
            return list((await agent.networks.list(messages.ListNetworksRequest(filters=filters))).networks)

        return await self._hosts.run(work)

    async def inspect(self, names: Sequence[str]) -> FleetResult[builtins.list[dict[str, Any]]]:
        """Docker's ``network inspect`` objects."""

        async def work(agent: AgentClient, name: str) -> dict[str, Any]:
            reply = await agent.networks.inspect(messages.InspectNetworkRequest(network=name))
            document: dict[str, Any] = json.loads(reply.document)
            return document

        return await self._hosts.each(names, work)
