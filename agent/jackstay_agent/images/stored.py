"""What the rest of the agent knows of an image that is here: a value."""

from __future__ import annotations

from dataclasses import dataclass

from jackstay_oci.digest import Digest


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One row of ``images`` with its names."""

    root: Digest  # of the manifest or index
    media_type: str  # of the root
    manifest: Digest  # of this platform's manifest; the root itself unless that is an index
    image_id: Digest  # of the config
    chain_id: str  # snapshot key of the whole stack of layers, "" for none
    names: tuple[str, ...]  # canonical references
    created: int  # nanoseconds since 1970, from the config
    stored: int  # nanoseconds since 1970
    labels: dict[str, str]
