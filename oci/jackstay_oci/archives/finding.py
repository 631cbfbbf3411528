"""Which image of an archive a text means: a name, an id or the start of one, a digest, ``repository@digest``. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from jackstay_oci.archives.images import ArchiveImage
from jackstay_oci.errors import InvalidArgument, InvalidReference, NotFound
from jackstay_oci.reference import Reference

_HEX = re.compile(r"[0-9a-f]{1,64}", re.ASCII)


def find(images: Sequence[ArchiveImage], text: str) -> tuple[ArchiveImage, tuple[str, ...]]:
    """The image, and the name by which it was found: none for an id and a digest. A name comes before an id.

    Raises:
        NotFound: there is none.
        InvalidArgument: the start of an id fits several.
        InvalidReference: the text is malformed.
    """
    digits = text.removeprefix("sha256:")
    try:
        reference = Reference.parse(text)
    except InvalidReference:
        if not _HEX.fullmatch(digits):
            raise
    else:
        if (found := _by_reference(images, reference)) is not None:
            return found
    matches = [image for image in images if _HEX.fullmatch(digits) and _has_id(image, digits)]
    if len({image.config_digest for image in matches}) > 1:
        raise InvalidArgument(f"the id {text!r} fits several images", hint="give more digits of it")
    if matches:
        return matches[0], ()
    known = [name for image in images for name in image.names] + [
        f"{image.config_digest} (without a name)" for image in images if not image.names
    ]
    raise NotFound(f"no image {text[:200]!r}", hint=f"it has: {', '.join(known)}")


def _by_reference(images: Sequence[ArchiveImage], reference: Reference) -> tuple[ArchiveImage, tuple[str, ...]] | None:
    if reference.digest is None:
        name = str(reference.with_default_tag())
        return next(((image, (name,)) for image in images if name in image.names), None)
    for image in images:
        repositories = {Reference.parse(name).name for name in image.names}
        if image.manifest.digest == reference.digest and reference.name in repositories:
            return image, ()
    return None


def _has_id(image: ArchiveImage, digits: str) -> bool:
    return image.config_digest.hex.startswith(digits) or image.manifest.digest.hex.startswith(digits)
