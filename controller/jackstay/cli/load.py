"""``jackstay load``, ``jackstay image load``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.view import Rows, field
from jackstay.cli.platform_flags import AllPlatformsFlag, PlatformFlag, canonical_platform, wanting
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.fleet import FleetResult
    from jackstay.library import Hosts


def command(
    ctx: typer.Context,
    input_: Annotated[
        str, typer.Option("--input", "-i", metavar="FILE", help="An archive or an OCI folder; else standard input.")
    ] = "-",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    platform: PlatformFlag = "",
    all_platforms: AllPlatformsFlag = False,
) -> int:
    """Load images from an archive.

    Every host asks only for what it lacks. Archives of docker save and podman save and OCI archives are read,
    also compressed ones (gzip, zstd, xz, bzip2). Of an image for several platforms every host takes its own part.

    \b
    Examples:
      jackstay -H web1 load -i images.tar.gz
      docker save app:1 | jackstay -H '@web' load
      jackstay -H web1 load -i multi.tar --platform linux/arm64
      jackstay -H web1 load -i multi.tar --all-platforms
    """
    if input_ == "-" and sys.stdin.isatty():
        raise UsageError("load: standard input is a terminal", hint="name an archive with -i FILE")
    flags = fleet_flags_of(ctx)
    platform = canonical_platform(platform, all_platforms=all_platforms)

    names: dict[str, tuple[str, ...]] = {}

    async def work(hosts: Hosts) -> FleetResult[list[dict[str, Any]]]:
        from jackstay.cli.transfer import transfer

        async with hosts.fleet.source(input_ if input_ == "-" else f"docker-archive:{input_}") as (source, _):
            images = wanting(await source.images(all=True), platform, all_platforms)
            names.update((image.root.digest, image.names) for image in images)
            return await transfer(hosts, source, images, flags, quiet=quiet)

    return show(ctx, select(ctx), work, list, LoadedImages(names))


@dataclass(frozen=True, slots=True)
class LoadedImages:
    """A line for each name, as docker says it; an image without a name has one with its id.

    Attributes:
        names: of each image, by the digest of its manifest or index.
    """

    names: Mapping[str, Sequence[str]]

    def render(self, rows: Rows, several: bool) -> str:
        """The text."""
        lines = [(host, [{"line": line} for item in objects for line in self._lines(item)]) for host, objects in rows]
        return field("line").render(lines, several)

    def _lines(self, item: dict[str, Any]) -> list[str]:
        from jackstay.cli.output.names import familiar

        named = [f"Loaded image: {familiar(name)}" for name in self.names.get(item["digest"], ())]
        return named or [f"Loaded image ID: {item['image']}"]
