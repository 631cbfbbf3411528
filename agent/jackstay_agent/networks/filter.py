"""The host's packet filter, kept as the rows say: reads them, lets `ruleset` render them, hands the batch to nft.

Another's ``flush ruleset``, as ``systemctl restart nftables`` does it, takes the agent's tables away, too: published
ports end, and the host's loopback services are open to containers. So `keep` makes them again at once, and also when
somebody has changed what is in them.
"""

from __future__ import annotations

import asyncio
import os
import socket

import structlog

from jackstay_agent.errors import Error, RuntimeFailed
from jackstay_agent.kernel.programs import Programs
from jackstay_agent.kernel.table_events import TableEvents
from jackstay_agent.metadata import networks as rows
from jackstay_agent.metadata.database import Database
from jackstay_agent.networks import ruleset
from jackstay_agent.networks.opening import OtherFirewalls

QUIET = 0.1
"""Seconds without a change before the tables are made again: a batch that makes one anew tells of its end first."""

OWN = 1.0
"""Seconds after a batch of the agent's in which what is told of the table is taken for that batch's."""

_SIX = os.path.exists("/proc/net/if_inet6")

log = structlog.get_logger()


class PacketFilter:
    """The table of this agent. `others` are the packet filters that would drop in spite of it what it lets pass."""

    def __init__(self, database: Database, programs: Programs) -> None:
        self.others = OtherFirewalls(programs)
        self.ended: set[str] = set()  # containers whose ports do not count, whatever their rows still say
        self._database = database
        self._programs = programs
        self._lock = asyncio.Lock()
        self._wanted = 0
        self._applied = 0
        self._watched = False
        self._stands = b""  # the batch that made the table as it is; b"" when that is not known
        self._made = float("-inf")  # when that was, on the loop's clock
        self._again = False  # somebody who waits for the next turn wants it to be made anyway

    async def apply(self, *, again: bool = False) -> None:
        """Make the filter as the rows are now, or later; callers that come while it is at work share the next turn.

        One that stands so already is left, unless *again*: nobody knows what was done to it.

        Raises `Unsupported` without nft, `RuntimeFailed` with nft's words when it refuses; then the old filter stands.
        """
        self._wanted += 1
        mine = self._wanted
        self._again = self._again or again
        async with self._lock:
            if self._applied >= mine:
                return
            turn, again = self._wanted, self._again
            self._again = False
            if again:
                self._stands = b""
            networks, ports = await self._database.read(lambda c: (rows.networks(c), rows.ports(c)))
            batch = ruleset.render(
                [
                    ruleset.BridgeNetwork(row.bridge, row.subnet, row.subnet6, row.internal)
                    for row in networks
                    if row.driver == "bridge"
                ],
                [
                    ruleset.Forward(row.protocol, row.host_ip, row.host_port, row.address, row.container_port)
                    for row in ports
                    # Those of IPv6 are passed on by `proxied`.
                    if ":" not in row.host_ip and row.container not in self.ended
                ],
                six=_SIX,
            )
            if batch == self._stands:
                self._applied = turn
                return
            self._stands = b""
            done = await self._programs.run(["nft", "-j", "-f", "-"], stdin=batch)
            if done.code != 0:
                words = " ".join(done.stderr.decode(errors="replace").split())[:300]
                raise RuntimeFailed(f"nft refused the packet filter: {words}", hint="see the agent's log")
            self._applied = turn
            self._made = asyncio.get_running_loop().time()
            self._stands = batch if self._watched else b""
            bridges = [row for row in networks if row.driver == "bridge"]
            with_ipv6 = [row.bridge for row in bridges if row.subnet6]
            await self.others.follow({"ip": [row.bridge for row in bridges], "ip6": with_ipv6})

    async def keep(self) -> None:
        """Make the table again whenever somebody else has taken it away, and look after the others. Until cancelled."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._keep())
            both.create_task(self.others.keep())

    async def _keep(self) -> None:
        try:
            events = TableEvents(contents=True)
        except OSError as error:
            log.warning("the packet filter is not watched", error=error.strerror)
            return
        self._watched = True
        loop = asyncio.get_running_loop()
        changed: float | None = None  # when another one has done it last
        try:
            while True:
                try:
                    async with asyncio.timeout_at(None if changed is None else changed + QUIET):
                        told = await events.wait()
                except TimeoutError:
                    told = []
                others = not self._lock.locked() and loop.time() > self._made + OWN
                if told is None:
                    self._stands = b""
                    changed = loop.time() if others else changed
                for event in told or ():
                    if event.name != ruleset.TABLE:
                        continue
                    if event.family == socket.AF_INET:
                        # The agent's own batches end with a table that is there.
                        changed = loop.time() if event.gone or others else None
                    elif event.family == socket.AF_INET6 and others:
                        changed = loop.time()
                if changed is not None and loop.time() >= changed + QUIET:
                    changed = None
                    await self._make_again()
        finally:
            self._watched = False
            self._stands = b""
            events.close()

    async def _make_again(self) -> None:
        log.warning("the packet filter was changed by others, as by a reload of a firewall, and is made again")
        try:
            await self.apply(again=True)  # a turn under way may have made what was taken away
        except Error as error:
            log.warning("the packet filter cannot be made again", error=error.message, hint=error.hint)
        except Exception as error:
            log.warning("the packet filter cannot be made again", error=repr(error))  # and is watched on
