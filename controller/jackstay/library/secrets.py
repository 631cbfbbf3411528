"""Secrets on hosts: values that containers get as files or variables. None comes back."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jackstay.client import messages

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.fleet import FleetResult
    from jackstay.library.hosts import Hosts


class Secrets:
    """Verbs; each gives one outcome a host."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def create(
        self, name: str, value: bytes, labels: Mapping[str, str] | None = None, *, replace: bool = False
    ) -> FleetResult[messages.Secret]:
        """Keep ``value``, of 1 to 512,000 bytes; with ``replace`` one of that name gets it, and the labels."""

        async def work(agent: AgentClient) -> messages.Secret:
            request = messages.CreateSecretRequest(name=name, value=value, labels=labels or {}, replace=replace)
            return (await agent.secrets.create(request)).secret

        return await self._hosts.run(work)

    async def list(self, filters: Sequence[str] = ()) -> FleetResult[list[messages.Secret]]:
        """The secrets, by name."""

        async def work(agent: AgentClient) -> list[messages.Secret]:
            return list((await agent.secrets.list(messages.ListSecretsRequest(filters=filters))).secrets)

        return await self._hosts.run(work)

    async def inspect(self, names: Sequence[str]) -> FleetResult[builtins.list[messages.Secret]]:
        """The named secrets, without their values."""

        async def work(agent: AgentClient, name: str) -> messages.Secret:
            return (await agent.secrets.inspect(messages.InspectSecretRequest(secret=name))).secret

        return await self._hosts.each(names, work)

    async def remove(self, names: Sequence[str], *, force: bool = False) -> FleetResult[builtins.list[str]]:
        """Remove secrets; the names that are gone. With ``force`` a missing one is no error."""

        async def work(agent: AgentClient, name: str) -> str:
            await agent.secrets.remove(messages.RemoveSecretRequest(secret=name, force=force))
            return name

        return await self._hosts.each(names, work)
