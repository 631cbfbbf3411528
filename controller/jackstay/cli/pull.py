"""``jackstay pull``, ``jackstay image pull``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.view import Rows, field
from jackstay.cli.platform_flags import AllPlatformsFlag, PlatformFlag, canonical_platform
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackstay.fleet import FleetResult
    from jackstay.library import Hosts


def command(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME...")],
    all_tags: Annotated[bool, typer.Option("--all-tags", "-a", help="Every tag of the repository.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, names only.")] = False,
    platform: PlatformFlag = "",
    all_platforms: AllPlatformsFlag = False,
) -> int:
    """Pull images from registries.

    However many hosts there are, one of them asks the registry, and the others copy from it. A host that has no way
    out to the registry gets the image from one that has, or from this machine. Credentials stay here.

    \b
    Examples:
      jackstay -H '@web' pull httpd:2.4
      jackstay -H web1 pull registry.example:5000/app@sha256:4c9a...
      jackstay -H web1 pull --platform linux/arm64 debian:12
      jackstay -H web1 pull --all-tags registry.example:5000/app
    """
    from jackstay.library.pulling import parsed

    flags = fleet_flags_of(ctx)
    platform = canonical_platform(platform, all_platforms=all_platforms)
    if all_tags and any(_names_one(name) for name in names):
        raise UsageError("pull: a tag cannot be used with --all-tags", hint="name the repository alone")
    for name in names:
        parsed(name)

    async def work(hosts: Hosts) -> FleetResult[list[dict[str, Any]]]:
        from jackstay.cli.attached_warnings import warned
        from jackstay.cli.progress import showing
        from jackstay.copying.progress import CopyProgress

        progress = CopyProgress()
        for host in hosts:
            progress.host(host.name)
        wanted = await _every_tag(names) if all_tags else names
        async with showing(progress, quiet=quiet or flags.json or flags.jsonl):
            result = await hosts.images.pull(wanted, platform=platform, all_platforms=all_platforms, progress=progress)
        return warned(result)

    return show(ctx, select(ctx), work, list, PulledImages(quiet))


def _names_one(name: str) -> bool:
    from jackstay_oci.reference import Reference

    reference = Reference.parse(name)
    return reference.tag is not None or reference.digest is not None


async def _every_tag(names: Sequence[str]) -> list[str]:
    """The names with each of their tags, which this machine asks for."""
    from jackstay.library.registries import opened
    from jackstay_oci.reference import Reference

    found = []
    for name in names:
        reference = Reference.parse(name)
        async with opened(reference.registry) as registry:
            found += [str(reference.with_tag(tag)) async for tag in registry.tags(reference.repository)]
    return found


@dataclass(frozen=True, slots=True)
class PulledImages:
    """Docker's last lines of a pull for each image; with *quiet* the last one, its name."""

    quiet: bool

    def render(self, rows: Rows, several: bool) -> str:
        """The text."""
        lines = [(host, [{"line": line} for item in objects for line in self._lines(item)]) for host, objects in rows]
        return field("line").render(lines, several)

    def _lines(self, item: dict[str, Any]) -> list[str]:
        from jackstay.cli.output.names import familiar

        name = str(item["image"])
        if self.quiet:
            return [name]
        status = "Downloaded newer image" if item["changed"] else "Image is up to date"
        return [f"Digest: {item['digest']}", f"Status: {status} for {familiar(name)}", name]
