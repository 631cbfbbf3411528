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

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "AMD64": "amd64"}
"""Go's names of the machines that people work on."""

SHORT_FORMAT = True


def command(ctx: typer.Context) -> int:
    """Show the versions here and on the hosts.

    \b
    Examples:
      jackstay version
      jackstay -H '@web' version --json
      jackstay -H '@web' version --format '{{.Host}} {{.Server.Version}}'
    """
    from jackstay.cli.output.objects import version_object

    flags = fleet_flags_of(ctx)
    client = client_object()
    if not (flags.json or flags.jsonl or flags.format):
        print(f"jackstay {installed('jackstay')} (Python {sys.version.split()[0]})\n")
        sys.stdout.flush()
    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.system.version(),
        lambda reply: [
            {"Client": client, **version_object(reply), "Platform": f"{reply.os}/{reply.architecture}"},
        ],
        Table(COLUMNS),
        document=True,
    )


def client_object() -> dict[str, str]:
    """This side of ``version``, in docker's field names."""
    import platform

    from jackstay.client import PROTOCOL

    machine = platform.machine()
    return {
        "Version": installed("jackstay"),
        "ApiVersion": str(PROTOCOL),
        "Os": sys.platform,
        "Arch": ARCHITECTURES.get(machine, machine),
        "PythonVersion": platform.python_version(),
    }
