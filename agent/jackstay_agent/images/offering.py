"""What is attached to an image, for whoever copies the image from this host."""

from __future__ import annotations

from collections.abc import Collection

from jackstay_agent.content.store import ContentStore
from jackstay_agent.images.attached import attached_here
from jackstay_agent.images.stored import StoredImage
from jackstay_oci import media_types
from jackstay_oci.attached.offer import Attached
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Index, parse_manifest
from jackstay_oci.reference import Reference


async def offer(content: ContentStore, image: StoredImage, here: Collection[Digest], name: str) -> tuple[Attached, ...]:
    """What is attached to the manifests of *image*, of whose blobs these are *here*; by tags as in the repository of
    the canonical *name*, which may be empty.

    A lease must hold the image: what is attached to it is held with it. Raises `InvalidDocument`, `DigestMismatch`.
    """
    manifests = [image.root, image.manifest]
    if media_types.is_index(image.media_type):
        index = parse_manifest(await content.read_document(image.root), image.media_type)
        assert isinstance(index, Index)
        manifests += [one.digest for one in index.manifests if one.digest in here]
    repository = Reference.parse(name).name if name else ""
    return (await attached_here(content, manifests, repository)).found
