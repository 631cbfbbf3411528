"""What ``inspect`` prints: on one host docker's bare array, on several the array with an element a host."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from jackstay.cli.invocation import (
    finish,
    parsed_template,
    print_json,
    print_jsonl,
    rows_of,
    run_async,
    write_formatted,
)
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.safe_json import safe_json

if TYPE_CHECKING:
    from jackstay.fleet import FleetResult
    from jackstay.library import Hosts

T = TypeVar("T")


def show_documents(
    ctx: typer.Context,
    hosts: Hosts,
    work: Callable[[Hosts], Awaitable[FleetResult[T]]],
    objects: Callable[[T], Sequence[dict[str, Any]]],
) -> int:
    """Do the work and print its documents; the exit code."""
    flags = fleet_flags_of(ctx)
    template = parsed_template(flags, document=True)
    if flags.jsonl:
        hosts.on_outcome = lambda outcome: print_jsonl(outcome, objects)

    async def main() -> FleetResult[T]:
        return await work(hosts)

    result = run_async(main())
    if flags.json or (len(hosts) > 1 and not flags.jsonl and template is None):
        print_json(result, objects)
    elif not flags.jsonl:
        rows = rows_of(result, objects)
        if template is not None:
            return max(write_formatted(template, rows, several=len(hosts) > 1), finish(result, flags))
        everything = [item for _, items in rows for item in items]
        sys.stdout.write(safe_json(everything, indent=4) + "\n")
    return finish(result, flags)
