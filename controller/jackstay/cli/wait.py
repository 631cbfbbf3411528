"""``jackstay wait``, ``jackstay container wait``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.output.view import field
from jackstay.errors import UsageError

CONDITIONS = ("not-running", "next-exit", "removed")


def command(
    ctx: typer.Context,
    containers: Annotated[list[str], typer.Argument(metavar="CONTAINER...")],
    condition: Annotated[str, typer.Option("--condition", metavar="STATE", help=" | ".join(CONDITIONS))] = CONDITIONS[
        0
    ],
) -> int:
    """Wait until containers stop, and print their exit codes.

    On one host the exit code is the last container's own, 125 when waiting failed.

    \b
    Examples:
      jackstay -H web1 wait job
      jackstay -H '@web' wait job
    """
    if condition not in CONDITIONS:
        raise UsageError(f"--condition {condition!r}: not one of {', '.join(CONDITIONS)}")
    hosts = select(ctx)
    codes: list[int] = []

    def objects(values: list[int]) -> list[dict[str, object]]:
        codes[:] = values
        return [{"Name": name, "StatusCode": code} for name, code in zip(containers, values, strict=False)]

    result = show(
        ctx,
        hosts,
        lambda hosts: hosts.containers.wait(containers, condition=condition),
        objects,
        field("StatusCode"),
    )
    if len(hosts) > 1:
        return result
    return codes[-1] if result == 0 and codes else 125
