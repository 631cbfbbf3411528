"""``jackstay save``, ``jackstay image save``."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Annotated

import typer

from jackstay.cli.invocation import select_one
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.platform_flags import PlatformFlag, canonical_platform
from jackstay.cli.receiving import receive
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.copying.pouring import Write
    from jackstay.fleet import FleetResult

FORMATS = ("docker", "oci")
COMPRESSIONS = ("none", "gzip", "zstd")


def command(
    ctx: typer.Context,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Else standard output.")] = "-",
    format_: Annotated[str, typer.Option("--format", metavar="docker|oci", help="Of the archive.")] = "docker",
    compress: Annotated[str, typer.Option("--compress", metavar="none|gzip|zstd", help="The whole archive.")] = "none",
    platform: PlatformFlag = "",
) -> int:
    """Save images to an archive.

    A file is complete or not there: it takes its name when everything has come. A repository without a tag means all
    its tags. The same images give the same bytes. Of an image for several platforms all that the host has is saved.

    \b
    Examples:
      jackstay -H web1 save -o images.tar.gz --compress gzip httpd:1.1 base:1
      jackstay -H web1 save app:1 | docker load
      jackstay -H web1 save --format oci --platform linux/arm64 -o app-arm64.tar app:1
    """
    if format_ not in FORMATS:
        raise UsageError(f"--format {format_!r}: not docker or oci")
    if compress not in COMPRESSIONS:
        raise UsageError(f"--compress {compress!r}: not none, gzip or zstd")
    platform = canonical_platform(platform)
    hosts = select_one(ctx, "save")

    def work(write: Write) -> Awaitable[FleetResult[int]]:
        return hosts.images.save(images, write, format=format_, compression=compress, platform=platform)

    return receive("save", output, work, fleet_flags_of(ctx))
