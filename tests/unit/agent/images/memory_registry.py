"""Registries in memory, for pulls and pushes: they note what was asked, and fail when they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from jackstay_agent.errors import DigestMismatch, Error, NotFound, RegistryFailed
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Index, parse_manifest
from jackstay_oci.registry.authorizing import Authorizer
from jackstay_oci.registry.referring import fallback_tag
from jackstay_oci.registry.registry import BlobReader, Document

PIECE = 1 << 16


@dataclass
class MemoryRegistry:
    """Implements those methods of `Registry` that pulls and pushes need."""

    name: str = "registry.example"
    blobs: dict[Digest, bytes] = field(default_factory=dict)
    manifests: dict[str, Document] = field(default_factory=dict)  # by "repository:tag" and "repository@digest"
    held: dict[str, set[Digest]] = field(default_factory=dict)  # by repository, of what was pushed
    asked: list[str] = field(default_factory=list)
    failing: Error | None = None
    lists: bool = True  # whether it has a list of referrers
    no_referrers: Error | None = None
    breaks_after: int | None = None  # bytes of a blob
    open: int = 0  # blobs that are being read
    most: int = 0
    closed: int = 0

    def put(self, repository: str, tag: str, root: Descriptor, blobs: dict[Digest, bytes]) -> None:
        """The registry has an image; what its *blobs* know to be manifests is not among those of the registry."""
        self.blobs.update(blobs)
        document = Document(root, self.blobs.pop(root.digest))
        self.manifests[f"{repository}:{tag}"] = self.manifests[f"{repository}@{root.digest}"] = document

    async def resolve(self, repository: str, reference: str) -> Descriptor:
        self.asked.append(f"HEAD {repository} {reference}")
        return self._document(repository, reference).descriptor

    async def manifest(self, repository: str, reference: str) -> Document:
        self.asked.append(f"GET {repository} {reference}")
        return self._document(repository, reference)

    def _document(self, repository: str, reference: str) -> Document:
        if self.failing is not None:
            raise self.failing
        found = self.manifests.get(f"{repository}{'@' if ':' in reference else ':'}{reference}")
        if found is None:
            raise NotFound(f"{self.name} has no {repository}:{reference}")
        return found

    async def read(self, repository: str, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        self.asked.append(f"blob {digest} {offset}+{length}")
        if digest not in self.blobs:
            raise NotFound(f"{self.name}: {repository} has no blob {digest}")
        data = self.blobs[digest]
        if offset + length > len(data):
            raise RegistryFailed(f"{self.name} gives only {len(data)} bytes of {digest}")
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            for start in range(offset, offset + length, PIECE):
                if self.breaks_after is not None and start >= self.breaks_after:
                    raise RegistryFailed(f"the connection to {self.name} broke")
                await self.wait(digest, start)
                yield data[start : min(start + PIECE, offset + length)]
        finally:
            self.open -= 1

    def distrust(self, digest: Digest) -> bool:
        return False

    async def has_blob(self, repository: str, digest: Digest) -> bool:
        self.asked.append(f"HEAD {repository} {digest}")
        return digest in self.held.get(repository, set())

    async def mount(self, repository: str, digest: Digest, source: str) -> bool:
        self.asked.append(f"mount {repository} {digest} {source}")
        if digest not in self.held.get(source, set()):
            return False
        self.held.setdefault(repository, set()).add(digest)
        return True

    async def upload(self, repository: str, blob: Descriptor, reader: BlobReader) -> None:
        self.asked.append(f"upload {repository} {blob.digest}")
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            if self.failing is not None:
                raise self.failing
            data = b"".join([bytes(piece) async for piece in reader.read(blob.digest, 0, blob.size)])
            if Digest.of(data) != blob.digest:
                raise DigestMismatch(f"{self.name} got other bytes than those of {blob.digest}")
            self.blobs[blob.digest] = data
            self.held.setdefault(repository, set()).add(blob.digest)
        finally:
            self.open -= 1

    async def put_manifest(self, repository: str, reference: str, document: Document) -> bool:
        self.asked.append(f"PUT {repository} {reference}")
        parsed = parse_manifest(document.data, document.descriptor.media_type)
        if isinstance(parsed, Index):
            assert all(f"{repository}@{one.digest}" in self.manifests for one in parsed.manifests), "not all there"
        else:
            named = (parsed.config, *(layer for layer in parsed.layers if not layer.urls))
            assert all(blob.digest in self.held.get(repository, set()) for blob in named), "not all there"
        self.manifests[f"{repository}@{document.descriptor.digest}"] = document
        if ":" not in reference:
            self.manifests[f"{repository}:{reference}"] = document
        return self.lists and parsed.subject is not None

    async def referrers(self, repository: str, digest: Digest) -> list[Descriptor]:
        self.asked.append(f"referrers {repository} {digest}")
        if self.no_referrers is not None:
            raise self.no_referrers
        if not self.lists:
            there = self.manifests.get(f"{repository}:{fallback_tag(digest)}")
            index = parse_manifest(there.data, there.descriptor.media_type) if there else None
            return list(index.manifests) if isinstance(index, Index) else []
        found = []
        for name, document in self.manifests.items():
            subject = parse_manifest(document.data, document.descriptor.media_type).subject
            if name.startswith(f"{repository}@") and subject is not None and subject.digest == digest:
                found.append(document.descriptor)
        return found

    async def wait(self, digest: Digest, offset: int) -> None:
        """Called before each piece."""
        await asyncio.sleep(0)

    async def close(self) -> None:
        self.closed += 1


class MemoryRegistries(dict[str, MemoryRegistry]):
    """Implements `fetch.connecting.Connect`; *authorizers* are those that were handed over."""

    def __init__(self) -> None:
        super().__init__()
        self.authorizers: list[Authorizer] = []

    async def __call__(self, registry: str, authorizer: Authorizer) -> MemoryRegistry:
        self.authorizers.append(authorizer)
        return self[registry]
