"""``jackstay pull``, ``jackstay image pull``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.view import Rows, field
from jackstay.cli.platform_flags import AllPlatformsFlag, PlatformFlag, canonical_platform
from jackstay.errors import InvalidArgument, UsageError

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
    verify_key: Annotated[
        list[str] | None,
        typer.Option("--verify-key", metavar="FILE", help="Refuse what no such public key has signed. Repeatable."),
    ] = None,
) -> int:
    """Pull images from registries.

    However many hosts there are, one of them asks the registry, and the others copy from it. A host that has no way
    out to the registry gets the image from one that has, or from this machine. Credentials stay here.

    With --verify-key an image is refused unless one of the keys has signed it, as `skopeo copy
    --sign-by-sigstore-private-key` and `cosign sign --key` do.

    \b
    Examples:
      jackstay -H '@web' pull httpd:2.4
      jackstay -H web1 pull registry.example:5000/app@sha256:4c9a...
      jackstay -H web1 pull --platform linux/arm64 debian:12
      jackstay -H '@web' pull --verify-key release.pub registry.example:5000/app:1
      jackstay -H web1 pull --all-tags registry.example:5000/app
    """
    from jackstay.library.pulling import parsed

    flags = fleet_flags_of(ctx)
    platform = canonical_platform(platform, all_platforms=all_platforms)
    if all_tags and any(_names_one(name) for name in names):
        raise UsageError("pull: a tag cannot be used with --all-tags", hint="name the repository alone")
    for name in names:
        parsed(name)
    keys = [_key(path) for path in verify_key or ()]

    async def work(hosts: Hosts) -> FleetResult[list[dict[str, Any]]]:
        from jackstay.cli.attached_warnings import warned
        from jackstay.cli.progress import showing
        from jackstay.copying.progress import CopyProgress

        progress = CopyProgress()
        for host in hosts:
            progress.host(host.name)
        wanted = await _every_tag(names) if all_tags else names
        async with showing(progress, quiet=quiet or flags.json or flags.jsonl):
            result = await hosts.images.pull(
                wanted, platform=platform, all_platforms=all_platforms, verify_keys=keys, progress=progress
            )
        return warned(result)

    return show(ctx, select(ctx), work, list, PulledImages(quiet))


def _names_one(name: str) -> bool:
    from jackstay_oci.reference import Reference

    reference = Reference.parse(name)
    return reference.tag is not None or reference.digest is not None


def _key(path: str) -> bytes:
    """The public key in a file, PEM."""
    from jackstay_oci.signatures.keys import MAX_PEM, parse_key

    try:
        with Path(path).open("rb") as file:
            pem = file.read(MAX_PEM + 1)
        parse_key(pem, path)
    except OSError as error:
        raise UsageError(f"--verify-key {path}: {error.strerror}", hint="give a file with a public key") from error
    except InvalidArgument as error:
        raise UsageError(f"--verify-key: {error.message}", hint=error.hint) from error
    return pem


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
