"""Signatures as cosign lays them down, and a repository in memory that holds them."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.errors import NotFound
from jackstay_oci.registry.registry import Document
from jackstay_oci.signatures.finding import ANNOTATION, ARTIFACT, PAYLOAD
from jackstay_oci.signatures.judging import Signature
from jackstay_oci.signatures.keys import PublicKey, parse_key

REPOSITORY = "registry.example/team/app"
IMAGE = Digest.of(b"the image's manifest")


class Signer:
    """Somebody with a key."""

    def __init__(self, name: str = "release.pub") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.pem = public_pem(self._key.public_key())
        self.key: PublicKey = parse_key(self.pem, name)

    def sign(self, payload: bytes) -> Signature:
        """Any bytes, signed."""
        return Signature(payload, self._key.sign(payload, ec.ECDSA(hashes.SHA256())))


def public_pem(key: Any) -> bytes:
    """A public key as a file."""
    pem: bytes = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem


def payload(digest: str = IMAGE, reference: str = REPOSITORY, **critical: Any) -> bytes:
    """What is signed."""
    fields = {"identity": {"docker-reference": reference}, "image": {"docker-manifest-digest": digest}}
    fields |= {"type": "cosign container image signature"} | critical
    return json.dumps({"critical": fields, "optional": {"creator": "the tests", "timestamp": 1}}).encode()


def manifest(signatures: list[Signature], **fields: Any) -> bytes:
    """The manifest whose layers they are."""
    config = {"mediaType": media_types.OCI_CONFIG, "digest": Digest.of(b"{}"), "size": 2}
    layers = [
        {
            "mediaType": PAYLOAD,
            "digest": Digest.of(each.payload),
            "size": len(each.payload),
            "annotations": {ANNOTATION: base64.b64encode(each.signature).decode()},
        }
        for each in signatures
    ]
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "config": config, "layers": layers}
    return json.dumps(document | fields).encode()


class Repository:
    """What finding signatures asks of a registry; ``asked`` says what was asked for."""

    name = "registry.example"

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.referring: list[Descriptor] = []
        self.asked: list[str] = []

    def attach(self, reference: str, signatures: list[Signature]) -> None:
        """Put signatures there, under a tag."""
        self.documents[reference] = manifest(signatures)
        self.blobs |= {Digest.of(each.payload): each.payload for each in signatures}

    def refer(self, signatures: list[Signature], artifact_type: str = ARTIFACT) -> None:
        """Put signatures there, in a manifest that refers to the image."""
        data = manifest(signatures, artifactType=artifact_type)
        self.attach(digest := Digest.of(data), signatures)
        self.documents[digest] = data
        kind = {"media_type": media_types.OCI_MANIFEST, "artifact_type": artifact_type}
        self.referring.append(Descriptor(digest=digest, size=len(data), **kind))

    async def manifest(self, repository: str, reference: str) -> Document:
        self.asked.append(reference)
        if (data := self.documents.get(reference)) is None:
            raise NotFound(f"no manifest {reference}")
        return Document(Descriptor(media_type=media_types.OCI_MANIFEST, digest=Digest.of(data), size=len(data)), data)

    async def read(self, repository: str, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        self.asked.append(digest)
        if digest not in self.blobs:
            raise NotFound(f"no blob {digest}")
        yield self.blobs[digest][offset : offset + length]

    async def referrers(self, repository: str, digest: Digest) -> list[Descriptor]:
        return self.referring
