"""A stream of one host goes to standard output, or into a file that is complete or not there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from jackstay.cli.invocation import finish, print_json, print_jsonl, run_async
from jackstay.cli.output_file import OutputFile
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.cli.fleet_flags import FleetFlags
    from jackstay.copying.pouring import Write
    from jackstay.fleet import FleetResult

    Work = Callable[[Write], Awaitable[FleetResult[int]]]


def receive(what: str, output: str, work: Work, flags: FleetFlags) -> int:
    """Have *work* write to the file *output* (``-``: standard output) and print what came of it; the exit code.

    Args:
        what: the command, for errors.
        output: where to.
        work: gets what writes a piece, and gives the bytes written.
        flags: those of the fleet.

    Raises:
        UsageError: standard output is a terminal, or is to have JSON too; the file cannot be made.
    """
    if output == "-" and (flags.json or flags.jsonl):
        raise UsageError(f"{what}: --json and the archive cannot both go to standard output", hint="use -o FILE")
    with OutputFile.open(output, what) as out:
        result = run_async(_whole(work, out))

    def objects(size: int) -> list[dict[str, object]]:
        return [{"File": output, "Size": size}]

    if flags.json:
        print_json(result, objects)
    elif flags.jsonl:
        for outcome in result.outcomes:
            print_jsonl(outcome, objects)
    return finish(result, flags)


async def _whole(work: Work, out: OutputFile) -> FleetResult[int]:
    from jackstay.cli.writing import write

    result = await work(partial(write, out.fd))
    if all(outcome.ok for outcome in result.outcomes):
        await asyncio.to_thread(out.commit)
    return result
