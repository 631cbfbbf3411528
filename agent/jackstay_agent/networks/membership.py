"""network connect and disconnect: a container's place in one more network, or in one less; at once, if it runs.

Guarantees: when a step fails, a place that was to come is taken away again, and one that was to go stays. The
container's way out, and what it has published, move to the first place that leads out of the host.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence

import structlog

from jackstay_agent.errors import InvalidArgument
from jackstay_agent.metadata import networks as rows
from jackstay_agent.metadata.networks import EndpointRow, NetworkRow
from jackstay_agent.networks import allocating, endpoints
from jackstay_agent.networks.attachment import WantedEndpoint, WantedPort
from jackstay_agent.networks.ports import bound_port
from jackstay_agent.networks.ways import NETLINK, Ways

log = structlog.get_logger()


class Membership:
    """Changes in which networks containers are."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways

    async def join(self, container: str, text: str, wanted: WantedEndpoint, publish: Sequence[WantedPort] = ()) -> None:
        """Give *container* a place in one more network, *text*; at once, if it runs.

        *publish* are its ports, which it may be reached by now. Raises `NotFound`, `AlreadyExists`, `AddressTaken`,
        `InvalidArgument`, `PortTaken`.
        """
        async with self._ways.lock(container):

            def add(connection: sqlite3.Connection) -> tuple[NetworkRow, bool]:
                network = allocating.find(connection, text)
                if network.driver != "bridge":
                    raise InvalidArgument(
                        f"a container cannot be connected to the network {network.name}", hint="create it there"
                    )
                allocating.add(connection, container, network, wanted)
                return network, container in rows.live_containers(connection)

            network, live = await self._ways.database.write("networks.join", add)
            if live:
                try:
                    await self._join_live(container, network.id, publish)
                except BaseException:
                    await asyncio.shield(self._undo(container, network.id))
                    raise
                self._ways.tell("connect", container, network)

    async def leave(self, container: str, text: str, *, force: bool = False) -> None:
        """Take *container*'s place in the network *text* away; at once, if it runs. *force*: it need not have one.

        Raises `NotFound`, `InvalidArgument` when it has none.
        """
        async with self._ways.lock(container):

            def look(connection: sqlite3.Connection) -> tuple[NetworkRow, bool, bool]:
                network = allocating.find(connection, text)
                own = rows.endpoints(connection, container=container, network_id=network.id)
                return network, bool(own), container in rows.live_containers(connection)

            network, there, live = await self._ways.database.read(look)
            if not there:
                if force:
                    return
                raise InvalidArgument(
                    f"container {container[:12]} is not connected to network {network.name}",
                    hint="`jackstay inspect` shows the networks of a container",
                )
            await self._leave(container, network.id, live=live)
            if live:
                self._ways.tell("disconnect", container, network)

    async def _join_live(self, container: str, network_id: str, publish: Sequence[WantedPort]) -> None:
        places, networks = await self._ways.places(container)
        place = next(each for each in places if each.network == network_id)
        argument = endpoints.argument(place, places, networks)
        await self._ways.jobs.run(f"{NETLINK}:attach", [self._ways.folder, container, argument])
        await self._ways.database.write("networks.joined", lambda c: rows.activate_one(c, container, network_id))
        await self._ways.rename([place], networks)
        if endpoints.way_out(places, networks) == place:
            ports = await self._ways.database.read(lambda c: rows.ports(c, container))
            await self._ways.publish(container, place.address, [bound_port(port) for port in ports] or publish)

    async def _leave(self, container: str, network_id: str, *, live: bool) -> None:
        places, networks = await self._ways.places(container)
        gone = next((each for each in places if each.network == network_id), None)
        if gone is None:
            return
        ports = await self._ways.database.read(lambda c: rows.ports(c, container))
        left = [each for each in places if each is not gone]
        if live:
            await self._detach(container, gone, endpoints.gateways(left, networks), networks)
        await self._ways.database.write("networks.leave", lambda c: rows.delete_endpoint(c, container, network_id))
        if not live:
            return
        if ports and endpoints.way_out(places, networks) == gone:
            out = endpoints.way_out(left, networks)
            bound = [bound_port(port) for port in ports] if out is not None else []
            await self._ways.publish(container, out.address if out is not None else "", bound)

    async def _detach(
        self, container: str, gone: EndpointRow, ways: list[list[str]], networks: Mapping[str, NetworkRow]
    ) -> None:
        """Take the link of *gone* away; *ways* are the default routes without it. Its address is nobody else's yet."""

        async def mark(active: bool) -> None:
            # An agent that dies in between finds a place that a living container has not: its link goes, and its row.
            await self._ways.database.write(
                "networks.leaving", lambda c: rows.activate_one(c, container, gone.network, active=active)
            )
            await self._ways.rename([gone], networks)

        await mark(False)
        try:
            await self._ways.jobs.run(
                f"{NETLINK}:detach", [self._ways.folder, container, gone.interface, [gone.address], ways]
            )
        except BaseException:
            if gone.active:
                await asyncio.shield(mark(True))
            raise

    async def _undo(self, container: str, network_id: str) -> None:
        """Take a failed `join` back; what fails on the way is logged, since the first error is the one to tell."""
        try:
            await self._leave(container, network_id, live=True)
        except Exception as error:
            log.warning("a failed connection left something", container=container, error=str(error) or repr(error))
            await self._ways.database.write("networks.leave", lambda c: rows.delete_endpoint(c, container, network_id))
