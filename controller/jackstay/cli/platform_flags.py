"""``--platform`` and ``--all-platforms``: which part of an image for several platforms is meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.copying.sources import SourceImage

PlatformFlag = Annotated[
    str, typer.Option("--platform", metavar="OS/ARCH", help="Of an image for several platforms, the one for this.")
]
AllPlatformsFlag = Annotated[
    bool, typer.Option("--all-platforms", help="Keep what an image has for other platforms, too.")
]


def canonical_platform(text: str, *, all_platforms: bool = False) -> str:
    """The platform as the protocol has it; empty when none is given.

    Raises:
        InvalidArgument: it is malformed.
        UsageError: ``all_platforms`` is wanted, too.
    """
    if text and all_platforms:
        raise UsageError(
            "--platform and --all-platforms exclude each other",
            hint="with --all-platforms every host runs the part for its own platform",
        )
    if not text:
        return ""
    from jackstay_oci import platforms

    return str(platforms.parse(text))


def wanting(images: Sequence[SourceImage], platform: str, all_platforms: bool) -> list[SourceImage]:
    """The images, of which the destinations take what the flags say."""
    return [image.wanting(platform, all_platforms=all_platforms) for image in images]
