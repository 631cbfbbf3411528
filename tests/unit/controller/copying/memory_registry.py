"""A registry in memory whose repositories have blobs of their own; it notes what is asked of it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from jackstay.errors import NotFound
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, parse_manifest
from jackstay_oci.registry.registry import BlobReader, Document

PIECE = 1000


@dataclass
class MemoryRegistry:
    """Implements ``Registry``."""

    name: str = "registry.example"
    blobs: dict[str, dict[Digest, bytes]] = field(default_factory=dict)
    manifests: dict[str, dict[str, Document]] = field(default_factory=dict)  # by tag and by digest
    asked: list[str] = field(default_factory=list)
    mounts: bool = True
    offered: dict[str, list[Descriptor]] = field(default_factory=dict)  # referrers that it names besides
    closed: int = 0

    def put(self, repository: str, layers: list[bytes], *, architecture: str = "amd64", tag: str = "") -> Descriptor:
        """Have an image; what names it in an index."""
        described = [self.blob(repository, data, media_types.OCI_LAYER) for data in layers]
        config = {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [str(layer["digest"]) for layer in described]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": self.blob(repository, json.dumps(config).encode(), media_types.OCI_CONFIG),
            "layers": described,
        }
        return self.document(repository, manifest, tag)

    def index(self, repository: str, tag: str, children: dict[str, Descriptor]) -> Descriptor:
        """Have an index of manifests, by their architectures."""
        entries = [
            {
                "mediaType": one.media_type,
                "digest": str(one.digest),
                "size": one.size,
                "platform": {"os": "linux", "architecture": architecture},
            }
            for architecture, one in children.items()
        ]
        return self.document(
            repository, {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}, tag
        )

    def blob(self, repository: str, data: bytes, media_type: str) -> dict[str, Any]:
        self.blobs.setdefault(repository, {})[Digest.of(data)] = data
        return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}

    def document(self, repository: str, content: dict[str, Any], tag: str) -> Descriptor:
        data = json.dumps(content).encode()
        made = Descriptor(media_type=content["mediaType"], digest=Digest.of(data), size=len(data))
        there = self.manifests.setdefault(repository, {})
        there[str(made.digest)] = Document(made, data)
        if tag:
            there[tag] = there[str(made.digest)]
        return made

    def attach(self, repository: str, about: Descriptor, content: bytes, kind: str = "") -> Descriptor:
        """Have *content* attached to a manifest: by its subject, or by a tag of that kind."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": self.blob(repository, b"{}", media_types.OCI_EMPTY),
            "layers": [self.blob(repository, content, "application/spdx+json")],
        }
        if kind:
            return self.document(repository, manifest, f"sha256-{about.digest.hex}.{kind}")
        subject = {"mediaType": about.media_type, "digest": str(about.digest), "size": about.size}
        return self.document(repository, {**manifest, "subject": subject}, "")

    async def resolve(self, repository: str, reference: str) -> Descriptor:
        return self._document(repository, reference).descriptor

    async def manifest(self, repository: str, reference: str) -> Document:
        self.asked.append(f"GET {repository} {reference}")
        return self._document(repository, reference)

    def _document(self, repository: str, reference: str) -> Document:
        try:
            return self.manifests[repository][reference]
        except KeyError:
            raise NotFound(f"{self.name} has no {repository}:{reference}") from None

    async def read(self, repository: str, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        self.asked.append(f"blob {repository} {digest}")
        data = self.blobs[repository][digest][offset : offset + length]
        for start in range(0, len(data), PIECE):
            yield data[start : start + PIECE]

    def distrust(self, digest: Digest) -> bool:
        return False

    async def has_blob(self, repository: str, digest: Digest) -> bool:
        return digest in self.blobs.get(repository, {})

    async def mount(self, repository: str, digest: Digest, source: str) -> bool:
        self.asked.append(f"mount {repository} {digest} {source}")
        if self.mounts and digest in self.blobs.get(source, {}):
            self.blobs.setdefault(repository, {})[digest] = self.blobs[source][digest]
        return self.mounts

    async def upload(self, repository: str, blob: Descriptor, reader: BlobReader) -> None:
        self.asked.append(f"upload {repository} {blob.digest}")
        data = b"".join([bytes(piece) async for piece in reader.read(blob.digest, 0, blob.size)])
        assert Digest.of(data) == blob.digest
        self.blobs.setdefault(repository, {})[blob.digest] = data

    async def put_manifest(self, repository: str, reference: str, document: Document) -> bool:
        there = self.manifests.setdefault(repository, {})
        there[reference] = there[str(document.descriptor.digest)] = document
        return parse_manifest(document.data, document.descriptor.media_type).subject is not None

    async def tags(self, repository: str) -> AsyncIterator[str]:
        for name in self.manifests[repository]:
            if ":" not in name:
                yield name

    async def repositories(self) -> AsyncIterator[str]:
        for name in self.manifests:
            yield name

    async def referrers(self, repository: str, digest: Digest) -> list[Descriptor]:
        found = list(self.offered.get(str(digest), ()))
        for name, document in self.manifests.get(repository, {}).items():
            subject = parse_manifest(document.data, document.descriptor.media_type).subject
            if ":" in name and subject is not None and subject.digest == digest:
                found.append(document.descriptor)
        return found

    async def delete(self, repository: str, reference: str) -> None:
        del self.manifests[repository][reference]

    async def close(self) -> None:
        self.closed += 1
