"""Platforms: written as ``os/architecture[/variant]``, and which manifest of an index fits one.

Follows containerd's platforms package for aliases and defaults (``x86_64`` is ``amd64``, arm64 means v8, arm means v7).
"""

from __future__ import annotations

import platform as host
import re
from collections.abc import Sequence

from jackstay_oci.documents import Descriptor, Platform
from jackstay_oci.errors import InvalidArgument

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
}
_KNOWN = (
    *("386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc", "ppc64", "ppc64le"),
    *("riscv", "riscv64", "s390", "s390x", "sparc", "sparc64"),
)
"""What a word alone may be: of the architectures that containerd knows, those that Linux runs on."""
_PART = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)


def parse(text: str) -> Platform:
    """The platform that ``text`` writes: ``linux/arm64``, ``linux/arm/v7``, or an architecture alone.

    Raises:
        InvalidArgument: it is malformed, or a word alone that is no architecture.
    """
    parts = text.split("/")
    if len(parts) > 3 or not all(_PART.fullmatch(part) for part in parts):
        raise InvalidArgument(f"invalid platform {text[:80]!r}", hint="write linux/amd64 or linux/arm/v7")
    if len(parts) == 1:
        alone = normalise(Platform(os="linux", architecture=parts[0]))
        if alone.architecture not in _KNOWN:
            raise InvalidArgument(f"unknown architecture {text[:80]!r}", hint="write linux/amd64 or linux/arm/v7")
        return alone
    return normalise(Platform(os=parts[0], architecture=parts[1], variant=parts[2] if len(parts) == 3 else ""))


def normalise(platform: Platform) -> Platform:
    """The same platform in its one canonical spelling."""
    architecture, variant = platform.architecture.lower(), platform.variant.lower()
    architecture, implied = _ARCHITECTURES.get(architecture, (architecture, ""))
    variant = variant or implied
    if variant.isdigit():
        variant = "v" + variant
    if architecture == "arm64" and variant == "v8":
        variant = ""
    if architecture == "arm" and not variant:
        variant = "v7"
    return Platform(
        os=platform.os.lower(),
        architecture=architecture,
        variant=variant,
        os_version=platform.os_version,
        os_features=platform.os_features,
    )


def this_host() -> Platform:
    """The platform of Linux containers on this machine."""
    return normalise(Platform(os="linux", architecture=host.machine()))


def fits(offered: Platform, wanted: Platform) -> int:
    """How well an image for ``offered`` runs on ``wanted``: 0 not at all, larger is better."""
    offered, wanted = normalise(offered), normalise(wanted)
    if offered.os != wanted.os or offered.architecture != wanted.architecture:
        return 0
    if offered.variant == wanted.variant:
        return 100
    if wanted.architecture in ("arm", "amd64", "arm64"):
        # A newer processor runs what was made for an older one, never the reverse.
        older, newer = _version(offered.variant), _version(wanted.variant)
        return max(1, 50 + older) if older < newer else 0
    return 0


def choose(manifests: Sequence[Descriptor], wanted: Platform) -> Descriptor | None:
    """The manifest of an index that fits ``wanted`` best, the first of equals; ``None`` when none does.

    An index whose only manifest names no platform fits every wish, as Docker takes it.
    """
    scored = [(fits(item.platform, wanted), item) for item in manifests if item.platform is not None]
    best = max((score for score, _ in scored), default=0)
    if best:
        return next(item for score, item in scored if score == best)
    return manifests[0] if len(manifests) == 1 and manifests[0].platform is None else None


def listed(manifests: Sequence[Descriptor]) -> str:
    """The platforms of an index's images, for people: ``linux/amd64, linux/arm/v7``; what is for none is left out."""
    known = (normalise(item.platform) for item in manifests if item.platform is not None)
    return ", ".join(dict.fromkeys(str(platform) for platform in known if platform.os != "unknown"))


def _version(variant: str) -> int:
    digits = variant.removeprefix("v").partition(".")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 4 else 0
