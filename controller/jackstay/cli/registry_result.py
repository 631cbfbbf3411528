"""What a command that asks a registry, and no host, does around its work: the same output as of one host."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import typer

from jackstay.cli.invocation import (
    parsed_template,
    print_failures,
    print_json,
    print_jsonl,
    rows_of,
    run_async,
    write_formatted,
)
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.view import View, render_quiet
from jackstay.errors import Error, Unreachable

Object = dict[str, Any]


def show_registry(
    ctx: typer.Context,
    registry: str,
    work: Callable[[], Awaitable[Sequence[Object]]],
    view: View,
    *,
    quiet: str | None = None,
) -> int:
    """Do the work and print its objects as those of a host that is called as the registry; the exit code.

    ``quiet`` is the field that ``-q`` prints alone.
    """
    from jackstay.fleet import FleetResult, Outcome, exit_code
    from jackstay.fleet.outcome import ErrorInfo

    flags = fleet_flags_of(ctx)
    template = parsed_template(flags, view)

    async def main() -> Outcome[Sequence[Object]]:
        try:
            return Outcome(registry, "ok", await work())
        except Error as error:
            if error.reason == "USAGE" or isinstance(error, Unreachable):  # a host's, which was to give something
                raise
            return Outcome(registry, "failed", error=ErrorInfo.of(error))

    outcome = run_async(main())
    result = FleetResult((outcome,))
    if flags.json:
        print_json(result, list)
        return exit_code(result)
    if flags.jsonl:
        print_jsonl(outcome, list)
        return exit_code(result)
    code = 0
    if outcome.ok:
        rows = rows_of(result, list)
        if template is not None:
            code = write_formatted(template, rows, view, several=False)
        else:
            sys.stdout.write(render_quiet(rows, quiet) if quiet is not None else view.render(rows, several=False))
    sys.stdout.flush()
    print_failures(result)
    return max(code, exit_code(result))
