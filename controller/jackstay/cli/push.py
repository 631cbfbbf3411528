"""``jackstay push``, ``jackstay image push``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackstay.cli.invocation import select_one, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.view import Rows, field
from jackstay.cli.platform_flags import PlatformFlag, canonical_platform
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.fleet import FleetResult
    from jackstay.library import Hosts

COMPRESSIONS = ("gzip", "zstd", "none")


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    destination: Annotated[str, typer.Argument(metavar="[DEST]", help="Another name to push it under.")] = "",
    all_tags: Annotated[bool, typer.Option("--all-tags", "-a", help="Every tag of the repository.")] = False,
    platform: PlatformFlag = "",
    compression: Annotated[
        str, typer.Option("--compression", metavar="gzip|zstd|none", help="Of layers that were made here.")
    ] = "gzip",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, names only.")] = False,
) -> int:
    """Push an image to a registry.

    The host speaks to the registry, and sends only what that lacks. Credentials stay here. Of an image for several
    platforms the host must have all that it names, or --platform chooses one.

    \b
    Examples:
      jackstay -H web1 push registry.example:5000/app:1
      jackstay -H web1 push app:1 registry.example:5000/team/app:1
      jackstay -H web1 push --all-tags registry.example:5000/app
    """
    from jackstay.library.pushing import destination_of

    if compression not in COMPRESSIONS:
        raise UsageError(f"--compression {compression!r}: not gzip, zstd or none")
    flags = fleet_flags_of(ctx)
    platform = canonical_platform(platform)
    destination_of(name, destination, all_tags=all_tags)

    async def work(hosts: Hosts) -> FleetResult[list[dict[str, Any]]]:
        from jackstay.cli.attached_warnings import warned
        from jackstay.cli.progress import showing
        from jackstay.copying.progress import CopyProgress

        progress = CopyProgress()
        for host in hosts:
            progress.host(host.name)
        async with showing(progress, quiet=quiet or flags.json or flags.jsonl):
            result = await hosts.images.push(
                name, destination, all_tags=all_tags, platform=platform, compression=compression, progress=progress
            )
        return warned(result)

    return show(ctx, select_one(ctx, "push"), work, list, PushedImages(quiet))


@dataclass(frozen=True, slots=True)
class PushedImages:
    """Docker's last line of a push for each image; with *quiet* its name."""

    quiet: bool

    def render(self, rows: Rows, several: bool) -> str:
        """The text."""
        lines = [(host, [{"line": self._line(item)} for item in objects]) for host, objects in rows]
        return field("line").render(lines, several)

    def _line(self, item: dict[str, Any]) -> str:
        if self.quiet:
            return str(item["image"])
        from jackstay.cli.output.names import familiar

        return f"{familiar(item['image'])}: digest: {item['digest']}"
