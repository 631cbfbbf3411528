"""``jackstay top``, ``jackstay container top``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.output.table import render_table

if TYPE_CHECKING:
    from jackstay.cli.output.view import Rows
    from jackstay.client.messages import TopReply

INTERSPERSED = False


def command(
    ctx: typer.Context,
    container: Annotated[str, typer.Argument(metavar="CONTAINER")],
    ps_options: Annotated[list[str] | None, typer.Argument(metavar="[PS-OPTION...]", show_default=False)] = None,
) -> int:
    """Show the processes of a container.

    The options are those of the host's ps; without any it is -ef. They must leave the column PID.

    \b
    Examples:
      jackstay -H web1 top app
      jackstay -H '@web' top app -o pid,rss,args
    """
    words = " ".join(ps_options or ()).split()
    return show(
        ctx, select(ctx), lambda hosts: hosts.containers.top(container, words), _objects, Processes(), document=True
    )


def _objects(reply: TopReply) -> list[dict[str, Any]]:
    return [{"Titles": list(reply.titles), "Processes": [list(process.values) for process in reply.processes]}]


class Processes:
    """A table for the hosts whose ``ps`` gave the same titles, and one for those where it is another's."""

    def render(self, rows: Rows, several: bool) -> str:
        """See ``View``."""
        tables: dict[tuple[str, ...], list[list[str]]] = {}
        for host, objects in rows:
            for item in objects:
                table = tables.setdefault(tuple(item["Titles"]), [])
                table += [[host, *process] if several else process for process in item["Processes"]]
        return "\n".join(
            render_table(["HOST", *titles] if several else list(titles), table) for titles, table in tables.items()
        )
