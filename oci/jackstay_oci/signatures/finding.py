"""Finds an image's signatures in its repository.

They are layers of a manifest under the tag ``sha256-<hex>.sig`` (cosign's specification, ``SIGNATURE_SPEC.md``), or of
one that refers to the image (``artifactType`` of cosign with OCI 1.1). Guarantees that what is read is bounded: who may
write to the repository can make it refuse an image, not fill a host's memory.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator
from contextlib import aclosing

from jackstay_oci import media_types
from jackstay_oci.digest import Digest, verify
from jackstay_oci.documents import Descriptor, Manifest, parse_manifest
from jackstay_oci.errors import DigestMismatch, InvalidDocument, LimitExceeded, NotFound
from jackstay_oci.registry.registry import Document, Registry
from jackstay_oci.signatures.judging import Signature
from jackstay_oci.signatures.simple_signing import MAX_PAYLOAD

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
ARTIFACT = "application/vnd.dev.cosign.artifact.sig.v1+json"
ANNOTATION = "dev.cosignproject.cosign/signature"

MAX_SIGNATURES = 50
"""Most signatures of one image that are looked at."""

MAX_REFERRERS = 20
"""Most manifests that refer to an image of which signatures are looked for."""

MAX_SIGNATURE = 4 << 10
"""Longest signature in base64; an RSA key of 8192 bits makes 1368 characters."""

_NONE = (NotFound, InvalidDocument, DigestMismatch, LimitExceeded)
"""What is not there, and what is no document: a signature that nobody has made."""


def tag(digest: Digest, kind: str = "sig") -> str:
    """The tag under which cosign keeps what belongs to an image: ``sig``, ``att`` or ``sbom``."""
    return f"sha256-{digest.hex}.{kind}"


async def find_signatures(registry: Registry, repository: str, digest: Digest) -> list[Signature]:
    """The signatures of an image, those under the tag first; malformed ones are passed over.

    Raises:
        Unauthorized: the registry does not let this caller look.
        RateLimited, RegistryFailed: it cannot be asked.
    """
    found: list[Signature] = []
    looked_at = 0
    async with aclosing(_manifests(registry, repository, digest)) as documents:
        async for document in documents:
            for layer in _payloads(document):
                if looked_at == MAX_SIGNATURES:
                    return found
                looked_at += 1
                if (signature := await _read(registry, repository, layer)) is not None:
                    found.append(signature)
    return found


async def _manifests(registry: Registry, repository: str, digest: Digest) -> AsyncGenerator[Document, None]:
    """The manifests whose layers are signatures."""
    try:
        yield await registry.manifest(repository, tag(digest))
    except _NONE:
        pass
    try:
        referrers = await registry.referrers(repository, digest)
    except _NONE:
        return
    for referrer in [each for each in referrers if each.artifact_type == ARTIFACT][:MAX_REFERRERS]:
        try:
            yield await registry.manifest(repository, referrer.digest)
        except _NONE:
            continue


def _payloads(document: Document) -> list[Descriptor]:
    """The layers that are signatures of bounded size."""
    if not media_types.is_manifest(document.descriptor.media_type):
        return []
    try:
        manifest = parse_manifest(document.data, document.descriptor.media_type)
    except InvalidDocument:
        return []
    if not isinstance(manifest, Manifest):
        return []
    layers = [layer for layer in manifest.layers if layer.media_type == PAYLOAD and layer.size <= MAX_PAYLOAD]
    return [layer for layer in layers if 0 < len(layer.annotations.get(ANNOTATION, "")) <= MAX_SIGNATURE]


async def _read(registry: Registry, repository: str, layer: Descriptor) -> Signature | None:
    """The signature that a layer is, or ``None`` when it is not one."""
    try:
        signature = base64.b64decode(layer.annotations[ANNOTATION], validate=True)
    except (binascii.Error, ValueError):
        return None
    payload = bytearray()
    try:
        async for piece in registry.read(repository, layer.digest, 0, layer.size):
            payload += piece
        verify(payload, layer.digest)
    except (NotFound, DigestMismatch):
        return None
    return Signature(bytes(payload), signature)
