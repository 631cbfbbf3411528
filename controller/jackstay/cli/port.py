"""``jackstay port``, ``jackstay container port``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from jackstay.cli.invocation import report, select
from jackstay.cli.output.view import Lines
from jackstay.errors import UsageError

NOT_PUBLISHED = 1


def command(
    ctx: typer.Context,
    container: Annotated[str, typer.Argument(metavar="CONTAINER")],
    private: Annotated[str | None, typer.Argument(metavar="[PORT[/PROTOCOL]]", show_default=False)] = None,
) -> int:
    """Show where the ports of a container are published.

    With a port, only where that one is; the exit code is 1 when it is not.

    \b
    Examples:
      jackstay -H web1 port app
      jackstay -H '@web' port app 80/tcp
    """
    wanted = _wanted(private)
    hosts = select(ctx)
    result, code = report(
        ctx,
        hosts,
        lambda hosts: hosts.containers.inspect([container]),
        lambda documents: [item for document in documents for item in _published(document, wanted)],
        Lines(_short if wanted else _whole),
    )
    if code or wanted is None:
        return code
    missing = [
        outcome.host
        for outcome in result.outcomes
        if outcome.ok and not any(True for document in outcome.value or () for _ in _published(document, wanted))
    ]
    for host in missing:
        typer.echo(f"Error: {host}: no public port '{wanted}' published for {container}", err=True)
    return NOT_PUBLISHED if missing else 0


def _wanted(private: str | None) -> str | None:
    """``80`` as docker reads it, ``80/tcp``."""
    if private is None:
        return None
    port, _, protocol = private.partition("/")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16) or protocol not in ("", "tcp", "udp"):
        raise UsageError(f"{private!r} is not a port", hint="write e.g. 80 or 53/udp")
    return f"{int(port)}/{protocol or 'tcp'}"


def _published(document: dict[str, Any], wanted: str | None) -> list[dict[str, str]]:
    ports: dict[str, list[dict[str, str]] | None] = document["NetworkSettings"]["Ports"]
    return [
        {"Port": port, "HostIp": binding["HostIp"], "HostPort": binding["HostPort"]}
        for port, bindings in sorted(ports.items(), key=_order)
        if wanted in (None, port)
        for binding in bindings or ()
    ]


def _order(item: tuple[str, object]) -> tuple[int, str]:
    port, _, protocol = item[0].partition("/")
    return int(port), protocol


def _whole(item: dict[str, Any]) -> str:
    return f"{item['Port']} -> {_short(item)}"


def _short(item: dict[str, Any]) -> str:
    address = f"[{item['HostIp']}]" if ":" in item["HostIp"] else item["HostIp"]
    return f"{address}:{item['HostPort']}"
