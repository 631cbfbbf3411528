"""``jackstay secret create``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.output.view import field
from jackstay.cli.parsing.environment import parse_pairs
from jackstay.errors import NotFound, UsageError

LONGEST = 512_000
"""Bytes of a value."""


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    source: Annotated[str, typer.Argument(metavar="FILE|-")],
    label: Annotated[list[str] | None, typer.Option("--label", "-l", metavar="KEY=VALUE", help="Repeatable.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Give one of that name a new value.")] = False,
) -> int:
    """Keep a value for containers: the contents of a file, or of standard input (-).

    \b
    Examples:
      jackstay -H '@web' secret create db-password password.txt
      pass show db | jackstay -H '@web' secret create --replace db-password -
    """
    from jackstay.cli.output.objects import secret_object

    labels = parse_pairs(label or (), "--label")
    value = _read(source)
    if not 0 < len(value) <= LONGEST:
        raise UsageError(f"the value of {name} must have 1 to {LONGEST} bytes")
    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.secrets.create(name, value, labels, replace=replace),
        lambda secret: [secret_object(secret, 0)],
        field("ID"),
    )


def _read(source: str) -> bytes:
    """What *source* holds, at most a byte too many."""
    if source == "-":
        return sys.stdin.buffer.read(LONGEST + 1)
    try:
        with open(source, "rb") as file:
            return file.read(LONGEST + 1)
    except OSError as error:
        raise NotFound(f"{source} cannot be read: {error.strerror}", hint="check the path") from error
