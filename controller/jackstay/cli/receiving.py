"""A stream of one host goes to standard output, or into a file that is complete or not there."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from jackstay.cli.invocation import finish, print_json, print_jsonl, run_async
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
    if output == "-":
        if flags.json or flags.jsonl:
            raise UsageError(f"{what}: --json and the archive cannot both go to standard output", hint="use -o FILE")
        from jackstay.cli.transfer import refuse_terminal

        refuse_terminal(what)
        sys.stdout.flush()
        return finish(_run(work, sys.stdout.fileno()), flags)
    result = receive_file(output, work)

    def objects(size: int) -> list[dict[str, object]]:
        return [{"File": output, "Size": size}]

    if flags.json:
        print_json(result, objects)
    elif flags.jsonl:
        for outcome in result.outcomes:
            print_jsonl(outcome, objects)
    return finish(result, flags)


def receive_file(path: str, work: Work) -> FleetResult[int]:
    """Have *work* write into a file beside *path* that takes its name at the end, and goes when something fails.

    A link is followed. What exists and is no regular file (``/dev/null``, a pipe) is written to, never replaced.

    Raises:
        UsageError: the file cannot be made there.
    """
    path = os.path.realpath(path)
    direct = os.path.exists(path) and not os.path.isfile(path)
    partial_path = path if direct else f"{path}.{os.getpid()}.partial"
    flags = os.O_WRONLY | os.O_CLOEXEC | (0 if direct else os.O_CREAT | os.O_EXCL)
    try:
        fd = os.open(partial_path, flags, 0o666)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    kept = direct
    try:
        result = _run(work, fd)
        if not direct and all(outcome.ok for outcome in result.outcomes):
            os.fsync(fd)
            os.rename(partial_path, path)
            kept = True
        return result
    finally:
        os.close(fd)
        if not kept:
            os.unlink(partial_path)


def _run(work: Work, fd: int) -> FleetResult[int]:
    from jackstay.cli.writing import write

    async def main() -> FleetResult[int]:
        return await work(partial(write, fd))

    return run_async(main())
