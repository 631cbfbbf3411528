"""``jackstay host ls``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackstay.cli.invocation import open_fleet, parsed_template, write_formatted
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.headings import HOST
from jackstay.cli.output.view import Table, render_quiet

if TYPE_CHECKING:
    from jackstay.inventory import Host

COLUMNS = (("NAME", "Name"), ("ADDRESS", "Address"), ("USER", "User"), ("PORT", "Port"), ("JUMP", "Jump"))


def command(
    ctx: typer.Context,
    sets: Annotated[list[str] | None, typer.Argument(metavar="[SET...]", show_default=False)] = None,
    origin: Annotated[bool, typer.Option("--origin", help="Say where the choice comes from.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Names only.")] = False,
) -> int:
    """List hosts, or preview a set.

    Without a set, and without -H, every host of the inventory. No host is asked.

    \b
    Examples:
      jackstay host ls
      jackstay host ls '@web!web7'
    """
    from jackstay.cli.output.envelope import element, render_json, render_jsonl
    from jackstay.fleet import Outcome
    from jackstay.inventory import Inventory, default_hosts

    flags = fleet_flags_of(ctx)
    table = Table(COLUMNS, HOST)
    template = parsed_template(flags, table)
    fleet = open_fleet(flags)
    chosen = (*flags.hosts, *(sets or ()))
    if origin:
        print(f"inventory: {Inventory.find(flags.inventory, os.environ, Path.cwd())}")
        default = default_hosts(os.environ, Path.cwd())
        print(f"hosts without -H: {' '.join(default.sets)} (from {default.origin})")
    if chosen or flags.exclude or flags.limit:
        everything = chosen or tuple(fleet.inventory.hosts)
        hosts = list(fleet.select(*everything, exclude=flags.exclude, limit=flags.limit))
    else:
        hosts = list(fleet.inventory.hosts.values())
    items = [host_object(host) for host in hosts]
    if flags.json:
        text = render_json([element(Outcome(str(item["Name"]), "ok"), [item]) for item in items])
    elif flags.jsonl:
        text = "".join(render_jsonl(element(Outcome(str(item["Name"]), "ok"), [item])) for item in items)
    elif template is not None:
        return write_formatted(template, [(str(item["Name"]), [item]) for item in items], table, several=False)
    elif quiet:
        text = render_quiet([("", items)], "Name")
    else:
        text = table.render([("", items)], several=False)
    sys.stdout.write(text)
    return 0


def host_object(host: Host) -> dict[str, Any]:
    """A host as an object; what is left to SSH is empty."""
    return {
        "Name": host.name,
        "Address": host.address,
        "User": host.user or "",
        "Port": str(host.port or ""),
        "Jump": host.jump or "",
        "Socket": host.socket,
        "Sudo": host.sudo,
    }
