"""Manifests that are attached to others, and a source of them in memory."""

from __future__ import annotations

import json
from typing import Any

from jackstay_oci import media_types
from jackstay_oci.attached.gathering import Answer
from jackstay_oci.attached.offer import Attached, Offer
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Manifest, parse_manifest
from jackstay_oci.errors import Error, NotFound

IMAGE = Digest.of(b"the image's manifest")
SBOM = "application/spdx+json"


def manifest(content: bytes, subject: Digest | None = IMAGE, **fields: Any) -> bytes:
    """A manifest with one layer of *content*, about *subject*."""
    described = {"mediaType": SBOM, "digest": Digest.of(content), "size": len(content)}
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "artifactType": SBOM,
        "config": {"mediaType": media_types.OCI_EMPTY, "digest": Digest.of(b"{}"), "size": 2},
        "layers": [described],
    }
    if subject is not None:
        document["subject"] = {"mediaType": media_types.OCI_MANIFEST, "digest": subject, "size": 1}
    return json.dumps(document | fields).encode()


def described(data: bytes, **more: Any) -> Descriptor:
    return Descriptor(**{"media_type": media_types.OCI_MANIFEST, "digest": Digest.of(data), "size": len(data), **more})


def attached(content: bytes, about: Digest = IMAGE, kind: str = "", **fields: Any) -> Attached:
    data = manifest(content, None if kind else about, **fields)
    parsed = parse_manifest(data, media_types.OCI_MANIFEST)
    assert isinstance(parsed, Manifest)
    return Attached(Offer(described(data), about, kind), data, parsed)


class Shelf:
    """What is attached to what; it notes what was asked for."""

    def __init__(self) -> None:
        self.offers: dict[Digest, list[Offer]] = {}
        self.documents: dict[Digest, bytes] = {}
        self.failing: dict[Digest, Error] = {}
        self.asked: list[Digest] = []
        self.read_: list[Digest] = []

    def attach(self, content: bytes, about: Digest = IMAGE, kind: str = "", **fields: Any) -> Digest:
        one = attached(content, about, kind, **fields)
        self.put(one.data, about, kind)
        return one.digest

    def put(self, data: bytes, about: Digest = IMAGE, kind: str = "", **descriptor: Any) -> Offer:
        offer = Offer(described(data, **descriptor), about, kind)
        self.offers.setdefault(about, []).append(offer)
        self.documents[Digest.of(data)] = data
        return offer

    async def ask(self, about: Digest) -> Answer:
        self.asked.append(about)
        failures = [self.failing[about]] if about in self.failing else []
        return Answer(self.offers.get(about, []), failures)

    async def read(self, offer: Offer) -> bytes:
        self.read_.append(offer.document.digest)
        if offer.document.digest not in self.documents:
            raise NotFound(f"no manifest {offer.document.digest}")
        return self.documents[offer.document.digest]
