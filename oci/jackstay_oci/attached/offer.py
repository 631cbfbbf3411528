"""What is attached to a manifest, as somebody says it is, and as its own manifest confirms it. Pure values."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Manifest

SIGNATURE = "sig"
BESIDE_SIGNATURES = ("att", "sbom")
"""What cosign's other tags end with: attestations and bills of materials."""

_KIND = re.compile(r"[a-z0-9]{1,16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Offer:
    """A manifest that is attached to the manifest *about*: by its subject, or by a tag of that *kind* ("sig")."""

    document: Descriptor
    about: Digest
    kind: str = ""

    @property
    def tag(self) -> str:
        """The tag by which it is attached."""
        return tag(self.about, self.kind)


@dataclass(frozen=True, slots=True)
class Attached:
    """The same with its manifest."""

    offer: Offer
    data: bytes
    manifest: Manifest

    @property
    def digest(self) -> Digest:
        """Of its manifest."""
        return self.offer.document.digest

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """What the manifest names, each once: artifacts without content name one empty blob several times."""
        named = (self.manifest.config, *self.manifest.layers)
        return tuple({blob.digest: blob for blob in named}.values())

    @property
    def artifact_type(self) -> str:
        """What it is, as lists of referrers tell it (distribution-spec, listing referrers)."""
        return self.manifest.artifact_type or self.manifest.config.media_type


def tag(about: Digest, kind: str) -> str:
    """The tag by which something of that kind is attached to *about*."""
    return f"{about.algorithm}-{about.hex}.{kind}"


def is_kind(text: str) -> bool:
    """Whether a tag may end with it."""
    return _KIND.fullmatch(text) is not None
