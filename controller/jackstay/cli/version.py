"""``jackstay version``."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.view import Table

COLUMNS = (
    ("AGENT", "Version"),
    ("PROTOCOL", "Protocol"),
    ("RUNTIME", "Runtime"),
    ("KERNEL", "KernelVersion"),
    ("OS/ARCH", "Platform"),
)

SHORT_FORMAT = True


def command(ctx: typer.Context) -> int:
    """Show the versions here and on the hosts.

    \b
    Examples:
      jackstay version
      jackstay -H '@web' version --json
    """
    from jackstay.cli.output.objects import version_object

    flags = fleet_flags_of(ctx)
    if not (flags.json or flags.jsonl or flags.format):
        print(f"jackstay {installed('jackstay')} (Python {sys.version.split()[0]})\n")
        sys.stdout.flush()
    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.system.version(),
        lambda reply: [version_object(reply) | {"Platform": f"{reply.os}/{reply.architecture}"}],
        Table(COLUMNS),
    )
