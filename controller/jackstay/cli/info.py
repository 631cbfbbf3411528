"""``jackstay info``, ``jackstay system info``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.output.firewalls import firewall_line
from jackstay.cli.output.go_values import go_text
from jackstay.cli.output.units import printable

Object = dict[str, Any]


class _Paragraphs:
    """``Key: value`` lines, a paragraph for each host; what a driver says of itself below it, as docker has it."""

    def render(self, rows: Any, several: bool) -> str:
        """The text."""
        parts = []
        for host, objects in rows:
            for item in objects:
                title = f"{host}:\n" if several else ""
                indent = " " if several else ""
                parts.append(title + "".join(f"{indent}{printable(line)}\n" for line in _lines(item)))
        return "\n".join(parts)


def _lines(info: Object) -> Iterator[str]:
    for key, value in info.items():
        if key == "Driver":
            yield f"Storage Driver: {go_text(value)}"
        elif key == "DriverStatus":
            yield from (f" {name}: {text}" for name, text in value)
        elif key == "Firewalls":
            yield "Firewalls:" if value else "Firewalls: none drops"
            yield from (f" {firewall_line(each)}" for each in value)
        else:
            yield f"{key}: {go_text(value)}"


SHORT_FORMAT = True


def command(ctx: typer.Context) -> int:
    """Show a host and its agent.

    \b
    Examples:
      jackstay -H web1 info
      jackstay -H '@web' info --format '{{.Host}} {{.KernelVersion}}'
    """
    return show(ctx, select(ctx), lambda hosts: hosts.system.info(), lambda info: [info], _Paragraphs(), document=True)
