"""Keeps other packet filters of this host open for containers; `firewalls` says which and how.

Guarantees: what is done is done by the comment that marks it, so that it is found again by any later agent; it is made
again when the other program reloads, and taken away when there is no network any more, and by ``jackstayd
remove-rules``. What does not work is logged and harms nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from jackstay_agent.errors import Error
from jackstay_agent.kernel.programs import Programs
from jackstay_agent.kernel.table_events import TableEvents
from jackstay_agent.networks import firewalls
from jackstay_agent.networks.firewalls import Firewall

QUIET = 0.2
"""Seconds without a change of the other's before it is looked at: a reload is many changes."""

LEGACY = 30.0
"""Seconds between looks where the other's rules are in the kernel's older tables, which tell of no change."""

_NFPROTO_INET = 1
_WATCHED = {(socket.AF_INET, "filter"), (socket.AF_INET6, "filter"), (_NFPROTO_INET, "firewalld")}
_PROGRAMS = {"ip": "iptables", "ip6": "ip6tables"}
_VARIANTS = ("nft", "legacy")  # of iptables: each sees only what is in its own tables of the kernel
_LEGACY_TABLES = {"ip": Path("/proc/net/ip_tables_names"), "ip6": Path("/proc/net/ip6_tables_names")}

log = structlog.get_logger()


class OtherFirewalls:
    """The other packet filters. `found` are those that drop forwarded packets, as of the last look."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._bridges: dict[str, tuple[str, ...]] | None = None
        self._lock = asyncio.Lock()
        self.found: list[Firewall] = []

    async def follow(self, bridges: Mapping[str, Sequence[str]]) -> None:
        """Open for the packets of *bridges*, by family ("ip", "ip6"), and for no others from now on."""
        wanted = {family: tuple(names) for family, names in bridges.items()}
        if wanted != self._bridges:
            self._bridges = wanted
            await self.look()

    async def look(self) -> None:
        """Look, and do what is to be done."""
        async with self._lock:
            if self._bridges is None:
                return
            try:
                found = await self._open(self._bridges)
            except Error as error:
                log.warning("other firewalls cannot be looked at", error=error.message, hint=error.hint)
                return
            except Exception as error:  # as when a program writes what nobody can read
                log.warning("other firewalls cannot be looked at", error=repr(error))
                return
            for firewall in found:
                if firewall in self.found:
                    continue
                if firewall.opened:
                    log.info("containers' packets are let through another firewall", firewall=firewall)
                else:
                    log.warning(
                        "another firewall may drop containers' packets",
                        chain=firewall.chain,
                        hint="accept there what comes in by and goes out to the bridges of `jackstay network ls`",
                    )
            self.found = found

    async def keep(self) -> None:
        """Look again after every change of another firewall's. Until it is cancelled."""
        try:
            events = TableEvents(contents=True)
        except OSError as error:
            log.warning("other firewalls are not watched", error=error.strerror)
            return
        try:
            await self.look()
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LEGACY if await asyncio.to_thread(_legacy) else None):
                        await _change(events)
                with contextlib.suppress(TimeoutError):
                    while True:
                        async with asyncio.timeout(QUIET):
                            await _change(events)
                await self.look()
        finally:
            events.close()

    async def _open(self, bridges: Mapping[str, tuple[str, ...]]) -> list[Firewall]:
        chains = await self._programs.run(["nft", "-j", "list", "chains"])
        seen = firewalls.seen(chains.stdout)
        found = [Firewall("", chain, False) for chain in seen.unknown if any(bridges.values())]
        for variant, families in zip(_VARIANTS, (seen.iptables, await asyncio.to_thread(_legacy)), strict=True):
            for family in sorted(families):
                program = await asyncio.to_thread(_program, family, variant)
                found += await self._open_iptables(program, family, bridges.get(family, ()))
        if seen.firewalld:
            found += await self._open_firewalld(sorted({name for names in bridges.values() for name in names}))
        return found

    async def _open_iptables(self, program: str, family: str, bridges: Sequence[str]) -> list[Firewall]:
        listing = await self._programs.run([program, "-w", "5", "-S"])
        if listing.code != 0:
            log.warning("iptables tells no rules", program=program, error=_words(listing.stderr))
            return []
        changes, opened = firewalls.iptables_changes(family, listing.stdout.decode(errors="replace"), bridges)
        if changes:
            done = await self._programs.run([f"{program}-restore", "-w", "5", "--noflush"], stdin=changes)
            if done.code != 0:
                log.warning("iptables refused a rule", program=program, error=_words(done.stderr))
                return [Firewall(each.tool, each.chain, False) for each in opened]
        return opened

    async def _open_firewalld(self, bridges: Sequence[str]) -> list[Firewall]:
        chain = await self._programs.run(["nft", "-j", "list", "chain", *firewalls.FIREWALLD])
        changes = firewalls.firewalld_changes(chain.stdout, bridges)
        opened = True
        if changes:
            done = await self._programs.run(["nft", "-j", "-f", "-"], stdin=changes)
            # A newer firewalld owns its table, and nobody else may change that.
            opened = done.code == 0 or await self._trust(bridges)
            if not opened:
                log.warning("firewalld's table cannot be changed", error=_words(done.stderr))
        return [Firewall("firewalld", " ".join(firewalls.FIREWALLD), opened)] if bridges else []

    async def _trust(self, bridges: Sequence[str]) -> bool:
        """Have firewalld trust *bridges* until its next reload; whether it does."""
        for bridge in bridges:
            trusted = ["firewall-cmd", "--zone=trusted"]
            if (await self._programs.run([*trusted, f"--query-interface={bridge}"])).code == 0:
                continue
            if (await self._programs.run([*trusted, f"--change-interface={bridge}"])).code != 0:
                return False
        return True


async def _change(events: TableEvents) -> None:
    """Return when a watched table has changed, or some events were lost."""
    while (told := await events.wait()) is not None:
        if any((event.family, event.name) in _WATCHED for event in told):
            return


def _legacy() -> set[str]:
    """The families that have a filter in the kernel's older tables."""
    found = set()
    for family, path in _LEGACY_TABLES.items():
        with contextlib.suppress(OSError):
            if "filter" in path.read_text().split():
                found.add(family)
    return found


def _program(family: str, variant: str) -> str:
    """The program for one variant's tables; where there is one variant only, it may be without the name of it."""
    name = f"{_PROGRAMS[family]}-{variant}"
    return name if shutil.which(name) else _PROGRAMS[family]


def _words(text: bytes) -> str:
    return " ".join(text.decode(errors="replace").split())[:300]
