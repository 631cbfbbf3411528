"""``jackstay container exists``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import report, select
from jackstay.cli.output.view import Lines
from jackstay.fleet.outcome import Outcome

ABSENT = 1
NOT_TOLD = 125


def command(
    ctx: typer.Context,
    container: Annotated[str, typer.Argument(metavar="CONTAINER")],
) -> int:
    """Tell by the exit code whether a container exists.

    0 when it does on every host, 1 when it does not on some; 125 when one host was asked and could not tell.

    \b
    Examples:
      jackstay -H web1 container exists app || jackstay -H web1 run -d --name app httpd:1.1
      jackstay -H '@web' --json container exists app
    """
    hosts = select(ctx)
    result, code = report(
        ctx,
        hosts,
        lambda hosts: hosts.containers.exists(container),
        lambda there: [{"Exists": there}],
        Lines(lambda _item: ""),
    )
    if code:
        return NOT_TOLD if len(hosts) == 1 else code
    return ABSENT if any(_is_absent(outcome) for outcome in result.outcomes) else 0


def _is_absent(outcome: Outcome[bool]) -> bool:
    return outcome.ok and not outcome.value
