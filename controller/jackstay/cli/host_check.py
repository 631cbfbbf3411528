"""``jackstay host check``."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackstay.cli.fleet_flags import FleetFlags
from jackstay.cli.invocation import open_fleet, report, with_host
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.main import print_warning
from jackstay.cli.output.firewalls import firewall_word
from jackstay.cli.output.runtimes import runtime_warning
from jackstay.cli.output.view import Table

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.library import Hosts

COLUMNS = (
    ("AGENT", "Version"),
    ("RUNTIME", "Runtime"),
    ("KERNEL", "KernelVersion"),
    ("OS/ARCH", "Platform"),
    ("FIREWALLS", "Firewalls"),
    ("ANSWERS IN", "Answers"),
)


def command(
    ctx: typer.Context,
    sets: Annotated[list[str] | None, typer.Argument(metavar="[SET...]", show_default=False)] = None,
) -> int:
    """Check the way to hosts and what they can do.

    Without a set, and without -H, every host of the inventory. What stands in the way is told host by host. Firewalls
    are those that drop what is forwarded; with "!", containers may not get through. A runtime that is older than fixes
    against hostile images is warned of.

    \b
    Examples:
      jackstay host check
      jackstay host check '@web'
    """
    from jackstay.cli.output.objects import version_object
    from jackstay.client import messages

    async def work(agent: AgentClient) -> dict[str, Any]:
        begun = time.perf_counter()
        reply = await agent.system.version(messages.VersionRequest())
        answers = f"{(time.perf_counter() - begun) * 1000:.1f} ms"
        info = json.loads((await agent.system.info(messages.InfoRequest())).document)
        return version_object(reply) | {
            "Platform": f"{reply.os}/{reply.architecture}",
            "Firewalls": ", ".join(map(firewall_word, info.get("Firewalls", ()))) or "-",
            "Answers": answers,
            "Warnings": [told for told in [runtime_warning(reply.runtime)] if told],
        }

    flags = fleet_flags_of(ctx)
    hosts = _chosen(flags, sets or [])
    result, code = report(ctx, hosts, lambda hosts: hosts.run(work), lambda item: [item], Table(COLUMNS))
    if not (flags.json or flags.jsonl or flags.format):
        for outcome in result.outcomes:
            for warning in outcome.value["Warnings"] if outcome.value else ():
                print_warning(with_host(outcome.host, warning))
    return code


def _chosen(flags: FleetFlags, sets: list[str]) -> Hosts:
    fleet = open_fleet(flags)
    chosen = (*flags.hosts, *sets) or tuple(fleet.inventory.hosts)
    return fleet.select(*chosen, exclude=flags.exclude, limit=flags.limit)
