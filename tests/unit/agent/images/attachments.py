"""Registries in which something is attached to images, and what a host has of that."""

from __future__ import annotations

from typing import Any

import msgspec

from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.registry.registry import Document
from tests.unit.agent.images.image_host import ImageHost, descriptor
from tests.unit.agent.images.memory_registry import MemoryRegistry

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
SBOM = "application/spdx+json"


def artifact(content: bytes, kind: str = SBOM, **fields: Any) -> tuple[Document, dict[Digest, bytes]]:
    """A manifest with one layer, and its blobs."""
    config = b"{}"
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": descriptor(media_types.OCI_EMPTY, config),
        "layers": [descriptor(kind, content)],
        **fields,
    }
    data = msgspec.json.encode(document)
    described = Descriptor(media_type=media_types.OCI_MANIFEST, digest=Digest.of(data), size=len(data))
    return Document(described, data), {Digest.of(each): each for each in (config, content)}


def refer(registry: MemoryRegistry, about: Descriptor, content: bytes, **fields: Any) -> Descriptor:
    """Attach *content* by its subject, in the repository app."""
    subject = {"mediaType": about.media_type, "digest": str(about.digest), "size": about.size}
    document, blobs = artifact(content, artifactType=SBOM, subject=subject, **fields)
    return _put(registry, document, blobs)


def tag(registry: MemoryRegistry, about: Digest, content: bytes, kind: str = "sig", **fields: Any) -> Descriptor:
    """Attach *content* by a tag, in the repository app."""
    document, blobs = artifact(content, PAYLOAD, **fields)
    return _put(registry, document, blobs, f"sha256-{about.hex}.{kind}")


def _put(registry: MemoryRegistry, document: Document, blobs: dict[Digest, bytes], name: str = "") -> Descriptor:
    registry.manifests[f"app@{document.descriptor.digest}"] = document
    if name:
        registry.manifests[f"app:{name}"] = document
    registry.blobs.update(blobs)
    registry.held.setdefault("app", set()).update(blobs)
    return document.descriptor


async def rows(host: ImageHost) -> tuple[list[str], list[str]]:
    """The digests of artifacts that the host has, and their names."""
    return (
        await host.column("SELECT digest FROM artifacts ORDER BY digest"),
        await host.column("SELECT name FROM artifact_names ORDER BY name"),
    )
