"""A fleet: an inventory, and the way commands go over its hosts."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from jackstay.errors import UsageError
from jackstay.fleet import FleetOptions
from jackstay.inventory import Inventory, default_hosts
from jackstay.library.hosts import Hosts

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.copying.sources import RangeSource
    from jackstay.fleet.run import Connector
    from jackstay.inventory import Host


class Fleet:
    """The hosts one knows. Connections are made by each verb and closed with it, so a fleet holds none open."""

    def __init__(
        self, inventory: Inventory, options: FleetOptions | None = None, *, connector: Connector | None = None
    ) -> None:
        self.inventory = inventory
        self.options = options or FleetOptions()
        self.connector = connector

    @classmethod
    def open(
        cls,
        inventory: str | Path | None = None,
        options: FleetOptions | None = None,
        *,
        connector: Connector | None = None,
    ) -> Fleet:
        """The fleet of an inventory, which is found as the command finds it unless one is named.

        Raises:
            UsageError: the inventory is malformed, or one was named that is not there.
        """
        path = Inventory.find(inventory, os.environ, Path.cwd())
        if (inventory or os.environ.get("JACKSTAY_INVENTORY")) and not path.exists():
            raise UsageError(
                f"there is no inventory {path}",
                hint="--inventory or JACKSTAY_INVENTORY names it; `jackstay host add` makes one",
            )
        return cls(Inventory.load(path), options, connector=connector)

    def select(self, *sets: str, exclude: Sequence[str] = (), limit: Sequence[str] = ()) -> Hosts:
        """The hosts of NodeSets (``"web[1-40]"``, ``"@web!web7"``, ``"root@10.0.0.1:22"``); none: the default ones.

        ``limit`` may hold ``@last-failed``: the hosts on which the last command failed.

        Raises:
            UsageError: a set is malformed, names nobody, or a name that is only nearly known.
        """
        chosen = sets or default_hosts(os.environ, Path.cwd()).sets
        return Hosts(self.inventory.select(chosen, exclude, limit), self)

    async def connect(self, host: Host) -> AgentClient:
        """A connection to one host's agent, the caller's to close.

        Raises:
            Unreachable: it cannot be talked to.
        """
        if self.connector is not None:
            return await self.connector(host)
        from jackstay.client import connect
        from jackstay.tunnel.settings import TunnelSettings

        settings = TunnelSettings(connect_timeout=self.options.connect_timeout, accept_new=self.options.accept_new)
        return await connect(host, settings)

    @asynccontextmanager
    async def source(self, endpoint: str, platform: str = "") -> AsyncIterator[tuple[RangeSource, list[str]]]:
        """A copy's source, open, and the images that the endpoint names itself.

        A registry is asked only for what is for ``platform``, where one is given.

        Raises:
            UsageError: it is malformed, or its hosts are not exactly one.
            Unsupported: it is of a kind that cannot be copied from yet.
            Unreachable: the host cannot be talked to.
        """
        from jackstay.library.sources import open_source

        source, named = await open_source(self, endpoint, platform)
        try:
            yield source, named
        finally:
            await source.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
