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

    async def create(self, request: messages.CreateNetworkRequest) -> FleetResult[str]:
        """Make a network on every host, each with a subnet of its own unless the request has one; the ids."""

        async def work(agent: AgentClient) -> str:
            return (await agent.networks.create(request)).id

        return await self._hosts.run(work)

    async def remove(self, names: Sequence[str], *, force: bool = False) -> FleetResult[builtins.list[str]]:
        """Remove networks that no container is in; ``force``: they need not be there."""

        async def work(agent: AgentClient, name: str) -> str:
            return (await agent.networks.remove(messages.RemoveNetworkRequest(network=name, force=force))).name

        return await self._hosts.each(names, work)

    async def prune(self, filters: Sequence[str] = ()) -> FleetResult[builtins.list[str]]:
        """Remove the networks that no container is in; their names."""

        async def work(agent: AgentClient) -> builtins.list[str]:
            return list((await agent.networks.prune(messages.PruneNetworksRequest(filters=filters))).removed)

        return await self._hosts.run(work)

    async def connect(self, request: messages.ConnectNetworkRequest) -> FleetResult[None]:
        """Give a container a place in a network, at once if it runs."""

        async def work(agent: AgentClient) -> None:
            await agent.networks.connect(request)

        return await self._hosts.run(work)

    async def disconnect(self, network: str, container: str, *, force: bool = False) -> FleetResult[None]:
        """Take a container's place in a network away; ``force``: it need not have one."""
        request = messages.DisconnectNetworkRequest(network=network, container=container, force=force)

        async def work(agent: AgentClient) -> None:
            await agent.networks.disconnect(request)

        return await self._hosts.run(work)
