"""``jackstay info``, ``jackstay system info``."""

from __future__ import annotations

from typing import Any

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.output.template import go_text
from jackstay.cli.output.units import printable

Object = dict[str, Any]


class _Paragraphs:
    """``Key: value`` lines, a paragraph for each host."""

    def render(self, rows: Any, several: bool) -> str:
        """The text."""
        parts = []
        for host, objects in rows:
            for item in objects:
                title = f"{host}:\n" if several else ""
                indent = " " if several else ""
                parts.append(title + "".join(f"{indent}{printable(f'{k}: {go_text(v)}')}\n" for k, v in item.items()))
        return "\n".join(parts)


SHORT_FORMAT = True


def command(ctx: typer.Context) -> int:
    """Show a host and its agent.

    \b
    Examples:
      jackstay -H web1 info
      jackstay -H '@web' info --format '{{.Host}} {{.KernelVersion}}'
    """
    return show(ctx, select(ctx), lambda hosts: hosts.system.info(), lambda info: [info], _Paragraphs())
