"""``jackstay cp``, ``jackstay container cp``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackstay.cli.invocation import report, select, select_one
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.units import human_size
from jackstay.cli.output.view import Lines
from jackstay.cli.receiving import receive
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.copying.container_copy import Copied
    from jackstay.copying.pouring import Write
    from jackstay.fleet import FleetResult, Outcome
    from jackstay.library import Hosts


def command(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SRC")],
    destination: Annotated[str, typer.Argument(metavar="DST")],
    archive: Annotated[bool, typer.Option("--archive", "-a", help="Keep the owners of files.")] = False,
    follow_link: Annotated[
        bool, typer.Option("--follow-link", "-L", help="Follow a symbolic link at the end of SRC.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, and no word at the end.")] = False,
) -> int:
    """Copy files between a container and this machine.

    One side is CONTAINER:PATH, the other one a local path, or - for a tar on standard input or output. The container
    may run or not. A folder that exists takes SRC in; else SRC gets the name of DST; SRC/. is what is in a folder. To
    a container files are copied on all hosts at once.

    \b
    Examples:
      jackstay -H '@web' cp site.conf app:/etc/nginx/conf.d/
      jackstay -H web1 cp app:/var/log/app.log .
      jackstay -H web1 cp app:/data - | tar -t
    """
    from jackstay.copying.container_paths import STREAM, parse_ends

    ends = parse_ends(source, destination)
    hosts = select(ctx) if ends.to_container else select_one(ctx, "cp from a container")
    flags = fleet_flags_of(ctx)
    if ends.local == STREAM and not ends.to_container:
        from jackstay.fleet import FleetResult

        async def pour(write: Write) -> FleetResult[int]:
            result = await hosts.containers.copy(source, destination, follow_link=follow_link, write=write)
            return FleetResult(tuple(map(_size, result.outcomes)), result.stopped_early, result.ignore_unreachable)

        return receive("cp", STREAM, pour, flags)
    if ends.local == STREAM and sys.stdin.isatty():
        raise UsageError("cp: standard input is a terminal", hint="name a file, or send a tar in")

    async def work(hosts: Hosts) -> FleetResult[Copied]:
        from jackstay.cli.progress import showing
        from jackstay.copying.progress import CopyProgress

        progress = CopyProgress()
        for host in hosts:
            progress.host(host.name)
        async with showing(progress, quiet=quiet or flags.json or flags.jsonl or not sys.stderr.isatty()):
            return await hosts.containers.copy(
                source, destination, follow_link=follow_link, keep_owner=archive, progress=progress
            )

    result, code = report(ctx, hosts, work, _objects, Lines(lambda _item: ""))
    if not (quiet or flags.json or flags.jsonl or flags.format):
        for outcome in result.outcomes:
            if outcome.ok and outcome.value is not None:
                where = f"{outcome.host}: " if len(hosts) > 1 else ""
                said = f"{where}Successfully copied {human_size(outcome.value.size)} to {outcome.value.path}"
                typer.echo(said, err=True)
    return code


def _size(outcome: Outcome[Copied]) -> Outcome[int]:
    size = None if outcome.value is None else outcome.value.size
    return outcome._replace(value=size)  # type: ignore[arg-type,return-value]  # replace keeps the type as it was


def _objects(copied: Copied) -> list[dict[str, Any]]:
    return [{"Path": copied.path, "Size": copied.size}]
