"""The documents of an image that is made of one tar: its config and its manifest. Pure.

The same layer, platform, changes, message and time give the same image, on whatever machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Manifest, encode
from jackstay_oci.image_config import ContainerConfig, History, ImageConfig, RootFS

if TYPE_CHECKING:
    from jackstay.copying.tar_layer import TarLayer
    from jackstay_oci.documents import Platform


@dataclass(frozen=True, slots=True)
class ImportedImage:
    """An image's documents, as bytes."""

    config: bytes
    manifest: bytes

    @property
    def id(self) -> Digest:
        """The image's id."""
        return Digest.of(self.config)


def make_image(
    layer: TarLayer, platform: Platform, run: ContainerConfig, *, created: str, comment: str
) -> ImportedImage:
    """The image with the one *layer*, whose containers start with *run*; *created* is a time as RFC 3339 has it."""
    config = encode(
        ImageConfig(
            architecture=platform.architecture,
            os=platform.os,
            variant=platform.variant,
            created=created,
            config=run,
            rootfs=RootFS(diff_ids=(layer.diff_id,)),
            history=(History(created=created, comment=comment),),
        )
    )
    manifest = encode(
        Manifest(
            media_type=media_types.OCI_MANIFEST,
            config=Descriptor(media_type=media_types.OCI_CONFIG, digest=Digest.of(config), size=len(config)),
            layers=(Descriptor(media_type=layer.media_type, digest=layer.digest, size=layer.size),),
        )
    )
    return ImportedImage(config, manifest)
