"""What is attached to an image goes with it to a registry, after it: signatures, attestations, bills of materials.

Guarantees: only what is about manifests that were pushed as they are here goes: what was signed is a digest, and an
image whose layers were compressed for the registry got another.
"""

from __future__ import annotations

from collections.abc import Sequence

from jackstay_agent.content.store import ContentStore
from jackstay_agent.images.attached import attached_here
from jackstay_agent.images.stored import StoredImage
from jackstay_oci.attached.putting import Place, Put, put_attached
from jackstay_oci.digest import Digest
from jackstay_oci.reference import Reference
from jackstay_oci.registry.blob_mounts import CANDIDATES
from jackstay_oci.registry.pushing import ImageToPush, Report
from jackstay_oci.registry.registry import Document, Registry


async def push_attached(
    content: ContentStore,
    registry: Registry,
    to: Reference,
    image: StoredImage,
    here: Sequence[Document],
    pushed: ImageToPush,
    report: Report,
) -> Put:
    """Put what is attached to the documents *here* of *image*, of which *pushed* came, into the repository of *to*.

    A lease must hold the image: what is attached to it is held with it.
    """
    names = [Reference.parse(name) for name in image.names]
    own = next((name.name for name in names if name.name != to.name), to.name)
    subjects = [document.descriptor.digest for document in here]
    gathered = await attached_here(content, subjects, to.name if to.name in {name.name for name in names} else own)
    there = {document.descriptor.digest for document in (pushed.root, *pushed.manifests)}
    going = []
    for one in gathered.found:
        if one.offer.about in there:
            there.add(one.digest)
            going.append(one)
    beside = [name.repository for name in names if name.registry == to.registry and name.name != to.name]
    repositories = tuple(dict.fromkeys(beside))[:CANDIDATES]
    sources: dict[Digest, Sequence[str]] = {blob.digest: repositories for one in going for blob in one.blobs}
    put = await put_attached(Place(registry, to.repository, content, report, sources), going)
    put.warnings[:0] = gathered.warnings
    if left := len({one.digest for one in gathered.found} - {one.digest for one in going}):
        what = "document that is" if left == 1 else "documents that are"
        put.warnings.append(
            f"{left} {what} attached to {subjects[0]} stayed here: compressed for {registry.name} the image has "
            f"another digest, {pushed.root.descriptor.digest}; sign it there, or push it with --compression none"
        )
    return put
