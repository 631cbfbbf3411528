"""A registry as a source: this machine asks it, and hands the bytes on. Nothing is stored here.

Manifests are asked for once each, bounded, and verified before they are believed; blobs are verified by whoever takes
them. Of an index a registry need not have every manifest. What an image leaves to other servers (``urls``) is left out
unless the registry has it. What is attached to an image comes with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from jackstay.copying.attached import as_source, attached_in
from jackstay.copying.sources import PIECE, Blob, SourceImage
from jackstay.errors import InvalidDocument, LimitExceeded, NotFound, UsageError
from jackstay_oci import platforms
from jackstay_oci.at_once import each
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Index, Manifest, Platform, parse_manifest
from jackstay_oci.media_types import is_index, is_manifest
from jackstay_oci.reference import Reference
from jackstay_oci.registry.registry import Document, Registry

MAX_DOCUMENTS = 64 << 20
"""Bytes of manifests and indexes of all images that are kept."""
MANIFESTS_AT_ONCE = 4
MAX_DEPTH = 3
"""Indexes inside indexes."""


class RegistrySource:
    """Images of one registry; owns the connection.

    Args:
        registry: to be asked.
        platform: of indexes, the only one that is wanted: manifests for others are not asked for, which registries
            count.
    """

    via = "relay"

    def __init__(self, registry: Registry, platform: Platform | None = None) -> None:
        self.registry = registry
        self._platform = platform
        self._documents: dict[Digest, Document] = {}
        self._repositories: dict[Digest, str] = {}
        self._kept = 0

    @property
    def name(self) -> str:
        """The registry's name."""
        return self.registry.name

    def repository_of(self, digest: str) -> str | None:
        """The repository that has the blob, of those that images were asked of."""
        return self._repositories.get(Digest.parse(digest))

    async def images(self, wanted: Sequence[str] = (), *, all: bool = False) -> list[SourceImage]:
        """The images named, each in full or as docker shortens it.

        Raises:
            UsageError: none is named, or one is in another registry.
            Error: those of a registry.
        """
        if not wanted or all:
            raise UsageError(
                f"{self.name}: a registry's images are taken by their names",
                hint="name one: docker://REGISTRY/REPOSITORY:TAG; `jackstay registry tags` lists the tags",
            )
        references = [Reference.parse(name).with_default_tag() for name in wanted]
        for reference in references:
            if reference.registry != self.name:
                raise UsageError(f"{reference.familiar} is not in {self.name}", hint="copy it in a run of its own")
        return [await self._image(reference) for reference in references]

    async def _image(self, reference: Reference) -> SourceImage:
        repository = reference.repository
        named = str(reference.digest) if reference.digest is not None else reference.tag
        assert named is not None
        root = await self.registry.manifest(repository, named)
        self._keep(repository, root)
        blobs = {root.descriptor.digest: _blob(root.descriptor)}
        held = await self._below(reference, root, blobs, 0)
        name = reference.with_digest(reference.digest) if reference.digest is not None else reference
        manifests = tuple(str(digest) for digest in held)
        gathered = await attached_in(self.registry, repository, [root.descriptor.digest, *held])
        for one in gathered.found:
            self._documents.setdefault(one.digest, Document(one.offer.document, one.data))
            self._repositories.update(dict.fromkeys((one.digest, *(blob.digest for blob in one.blobs)), repository))
        return SourceImage(
            _blob(root.descriptor),
            (str(name),),
            tuple(blobs.values()),
            manifests,
            event="pull",
            pulled=True,
            attached=tuple(as_source(one) for one in gathered.found),
            warnings=gathered.warnings,
        )

    async def _below(
        self, reference: Reference, document: Document, blobs: dict[Digest, Blob], depth: int
    ) -> list[Digest]:
        """Take in all that the document names; of an index, which of its manifests are there."""
        parsed = parse_manifest(document.data, document.descriptor.media_type)
        if isinstance(parsed, Manifest):
            for blob in (parsed.config, *parsed.layers):
                if blob.digest not in blobs and await self._is_there(reference.repository, blob):
                    self._repositories[blob.digest] = reference.repository
                    blobs[blob.digest] = _blob(blob)
            return []
        if depth >= MAX_DEPTH:
            raise InvalidDocument(f"{reference.familiar}: indexes inside indexes, more than {MAX_DEPTH} deep")
        found = await each(
            self._wanted(reference, parsed), lambda child: self._child(reference, child), limit=MANIFESTS_AT_ONCE
        )
        held = [child for child in found if child is not None]
        for child in held:
            blobs[child.descriptor.digest] = _blob(child.descriptor)
            await self._below(reference, child, blobs, depth + 1)
        if not held:
            raise NotFound(f"{self.name} has no image of {reference.familiar}", hint="only its index is there")
        return [child.descriptor.digest for child in held]

    def _wanted(self, reference: Reference, index: Index) -> list[Descriptor]:
        children = [one for one in index.manifests if is_manifest(one.media_type) or is_index(one.media_type)]
        if self._platform is None:
            return children
        chosen = platforms.choose(children, self._platform)
        if chosen is None:
            raise NotFound(
                f"image {reference.familiar} has no manifest for {self._platform}",
                hint=f"it is for {platforms.listed(children) or 'no platform'}",
            )
        return [chosen]

    async def _child(self, reference: Reference, child: Descriptor) -> Document | None:
        if (known := self._documents.get(child.digest)) is not None:
            return known
        try:
            document = await self.registry.manifest(reference.repository, str(child.digest))
        except NotFound:
            return None
        if document.descriptor.size != child.size or document.descriptor.media_type != child.media_type:
            raise InvalidDocument(f"{self.name}: manifest {child.digest} is not what the index of {reference} says")
        self._keep(reference.repository, document)
        return document

    async def _is_there(self, repository: str, blob: Descriptor) -> bool:
        return not blob.urls or await self.registry.has_blob(repository, blob.digest)

    def _keep(self, repository: str, document: Document) -> None:
        if document.descriptor.digest not in self._documents:
            self._kept += len(document.data)
        if self._kept > MAX_DOCUMENTS:
            raise LimitExceeded(f"{self.name}: the manifests have more than {MAX_DOCUMENTS} bytes")
        self._documents[document.descriptor.digest] = document
        self._repositories[document.descriptor.digest] = repository

    async def read(self, digest: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """A range of a blob of an image that :meth:`images` gave out.

        Raises:
            NotFound: it belongs to none of them.
            Error: those of a registry.
        """
        parsed = Digest.parse(digest)
        repository = self._repositories.get(parsed)
        if repository is None:
            raise NotFound(f"{digest} belongs to no image that is being copied from {self.name}")
        if (document := self._documents.get(parsed)) is not None:
            for start in range(offset, min(offset + length, len(document.data)), PIECE):
                yield document.data[start : min(start + PIECE, offset + length)]
            return
        async with aclosing(self.registry.read(repository, parsed, offset, length)) as pieces:
            async for piece in pieces:
                yield piece

    async def close(self) -> None:
        """Close the connection."""
        await self.registry.close()


def _blob(descriptor: Descriptor) -> Blob:
    return Blob(str(descriptor.digest), descriptor.size, descriptor.media_type)
