"""``jackstay save``, ``jackstay image save``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from jackstay.cli.invocation import finish, run_async, select_one
from jackstay.cli.lazy import fleet_flags_of
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.fleet import FleetResult
    from jackstay.library import Hosts

FORMATS = ("docker", "oci")
COMPRESSIONS = ("none", "gzip", "zstd")


def command(
    ctx: typer.Context,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Else standard output.")] = "-",
    format_: Annotated[str, typer.Option("--format", metavar="docker|oci", help="Of the archive.")] = "docker",
    compress: Annotated[str, typer.Option("--compress", metavar="none|gzip|zstd", help="The whole archive.")] = "none",
) -> int:
    """Save images to an archive.

    A file is complete or not there: it takes its name when everything has come.

    \b
    Examples:
      jackstay -H web1 save -o images.tar.gz --compress gzip httpd:1.1 base:1
      jackstay -H web1 save app:1 | docker load
    """
    if format_ not in FORMATS:
        raise UsageError(f"--format {format_!r}: not docker or oci")
    if compress not in COMPRESSIONS:
        raise UsageError(f"--compress {compress!r}: not none, gzip or zstd")
    hosts = select_one(ctx, "save")
    flags = fleet_flags_of(ctx)
    if output == "-":
        if flags.json or flags.jsonl:
            raise UsageError("save: --json and the archive cannot both go to standard output", hint="use -o FILE")
        return finish(save_stream(hosts, images, format_, compress), flags)
    result = save_file(hosts, images, output, format_, compress)
    if flags.json or flags.jsonl:
        from jackstay.cli.invocation import print_json, print_jsonl

        def objects(size: int) -> list[dict[str, object]]:
            return [{"File": output, "Size": size}]

        if flags.json:
            print_json(result, objects)
        else:
            for outcome in result.outcomes:
                print_jsonl(outcome, objects)
    return finish(result, flags)


def save_stream(hosts: Hosts, images: list[str], format_: str = "docker", compress: str = "none") -> FleetResult[int]:
    """Save to standard output.

    Raises:
        UsageError: that is a terminal.
    """
    from jackstay.cli.transfer import refuse_terminal

    refuse_terminal("save")
    sys.stdout.flush()
    return run_async(_save(hosts, images, sys.stdout.fileno(), format_, compress))


def save_file(hosts: Hosts, images: list[str], path: str, format_: str, compress: str) -> FleetResult[int]:
    """Save into a file beside ``path`` that takes its name at the end, and is removed when something fails.

    A link is followed. What exists and is no regular file (``/dev/null``, a pipe) is written to, never replaced.

    Raises:
        UsageError: the file cannot be made there.
    """
    path = os.path.realpath(path)
    direct = os.path.exists(path) and not os.path.isfile(path)
    partial = path if direct else f"{path}.{os.getpid()}.partial"
    flags = os.O_WRONLY | os.O_CLOEXEC | (0 if direct else os.O_CREAT | os.O_EXCL)
    try:
        fd = os.open(partial, flags, 0o666)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    if direct:
        try:
            return run_async(_save(hosts, images, fd, format_, compress))
        finally:
            os.close(fd)
    kept = False
    try:
        result = run_async(_save(hosts, images, fd, format_, compress))
        if all(outcome.ok for outcome in result.outcomes):
            os.fsync(fd)
            os.rename(partial, path)
            kept = True
        return result
    finally:
        os.close(fd)
        if not kept:
            os.unlink(partial)


async def _save(hosts: Hosts, images: list[str], fd: int, format_: str, compress: str) -> FleetResult[int]:
    from functools import partial

    from jackstay.cli.writing import write

    return await hosts.images.save(images, partial(write, fd), format=format_, compression=compress)
