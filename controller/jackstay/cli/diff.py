"""``jackstay diff``, ``jackstay container diff``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.output.view import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackstay.client.messages import PathChange


def command(ctx: typer.Context, container: Annotated[str, typer.Argument(metavar="CONTAINER")]) -> int:
    """Show which paths a container has changed.

    A is an added path, C a changed one, D a deleted one. What lies in volumes is not shown.

    \b
    Examples:
      jackstay -H web1 diff app
      jackstay -H '@web' --json diff app
    """
    return show(ctx, select(ctx), lambda hosts: hosts.containers.diff(container), _objects, Lines(_line))


def _objects(changes: Sequence[PathChange]) -> list[dict[str, str]]:
    # A path is bytes; what is not UTF-8 in it is shown as \xff.
    return [{"Kind": change.kind, "Path": change.path.decode(errors="backslashreplace")} for change in changes]


def _line(item: dict[str, str]) -> str:
    return f"{item['Kind']} {item['Path']}"
