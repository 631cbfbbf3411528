"""The host's packet filter, kept as the rows say: reads them, lets `ruleset` render them, hands the batch to nft."""

from __future__ import annotations

import asyncio

from jackstay_agent.errors import RuntimeFailed
from jackstay_agent.kernel.programs import Programs
from jackstay_agent.metadata import networks as rows
from jackstay_agent.metadata.database import Database
from jackstay_agent.networks import ruleset


class PacketFilter:
    """The table of this agent."""

    def __init__(self, database: Database, programs: Programs) -> None:
        self._database = database
        self._programs = programs
        self._lock = asyncio.Lock()
        self._wanted = 0
        self._applied = 0

    async def apply(self) -> None:
        """Make the filter as the rows are now, or later; callers that come while it is at work share the next turn.

        Raises `Unsupported` without nft, `RuntimeFailed` with nft's words when it refuses; then the old filter stands.
        """
        self._wanted += 1
        mine = self._wanted
        async with self._lock:
            if self._applied >= mine:
                return
            turn = self._wanted
            networks, ports = await self._database.read(lambda c: (rows.networks(c), rows.ports(c)))
            batch = ruleset.render(
                [ruleset.BridgeNetwork(row.bridge, row.subnet) for row in networks if row.driver == "bridge"],
                [
                    ruleset.Forward(row.protocol, row.host_ip, row.host_port, row.address, row.container_port)
                    for row in ports
                ],
            )
            done = await self._programs.run(["nft", "-j", "-f", "-"], stdin=batch)
            if done.code != 0:
                words = " ".join(done.stderr.decode(errors="replace").split())[:300]
                raise RuntimeFailed(f"nft refused the packet filter: {words}", hint="see the agent's log")
            self._applied = turn
