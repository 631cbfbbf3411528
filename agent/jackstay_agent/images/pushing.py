"""Pushing images of this host: what they are made of, held until the registry has it.

Guarantees: an image is pushed as it is here, or refused; the same image gives the same digest. A lease keeps its blobs
while that lasts. Of an index, all manifests are pushed, or with a platform the one manifest for it, by itself. What is
attached to it follows (`pushing_attached`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, cast

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import DigestMismatch, InvalidArgument, InvalidReference, NotFound
from jackstay_agent.fetch.connecting import Connect
from jackstay_agent.images.compressing import AT_ONCE as COMPRESSED_AT_ONCE
from jackstay_agent.images.compressing import Algorithm, Compressor
from jackstay_agent.images.pushing_attached import push_attached
from jackstay_agent.images.service import Images, find
from jackstay_agent.images.stored import StoredImage
from jackstay_agent.metadata import blobs as blob_rows
from jackstay_agent.metadata import images as image_rows
from jackstay_agent.metadata import leases
from jackstay_agent.metadata import pushed as pushed_rows
from jackstay_oci import media_types, platforms
from jackstay_oci.at_once import each
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Index, Manifest, Platform, parse_config, parse_manifest
from jackstay_oci.reference import Reference
from jackstay_oci.registry import blob_mounts, pushing, recompressing
from jackstay_oci.registry.authorizing import Authorizer
from jackstay_oci.registry.pushing import ImageToPush, Pushed, Report
from jackstay_oci.registry.registry import Document, Registry

COMPRESSIONS = ("gzip", "zstd", "none")

Compress = Callable[[Descriptor], Awaitable[Descriptor]]


@dataclass(frozen=True, slots=True)
class _Held:
    """An image, its blobs here, and where the registry may have them."""

    image: StoredImage
    here: frozenset[Digest]
    named: list[tuple[Reference, frozenset[Digest]]]


class Pusher:
    """Pushes images."""

    def __init__(self, content: ContentStore, images: Images, connect: Connect) -> None:
        self._content = content
        self._images = images
        self._connect = connect
        self._compressor = Compressor(content)

    async def push(
        self,
        name: str,
        destination: str,
        authorizer: Authorizer,
        report: Report,
        *,
        platform: str = "",
        compression: str = "gzip",
    ) -> Pushed:
        """Push the image that *name* means to the canonical reference *destination*.

        Layers that are stored uncompressed are compressed by *compression*: "gzip", "zstd" or "none".

        Raises what `Images.find` and `Registry` raise, `InvalidArgument`, `NotFound` for a platform that is not here
        and an index that is not here in whole, and `DigestMismatch` for a damaged blob, which the next load repairs.
        """
        algorithm = _algorithm(compression)
        wanted = platforms.parse(platform) if platform else None
        to = Reference.parse(destination).with_default_tag()
        async with self._content.lease() as lease:
            held = await self._hold(name, to, lease)
            root, manifests = await self._documents(held, wanted)
            here = (root, *manifests)
            in_whole = root.descriptor.digest == held.image.root
            sources = blob_mounts.sources(to, held.named)
            registry = await self._connect(to.registry, authorizer)
            try:
                if algorithm != "none":
                    compress = self._compressing(registry, to.repository, algorithm, lease, report)
                    root, manifests, became = await _compressed(root, manifests, compress)
                    sources.update((new.digest, sources[layer]) for layer, new in became.items() if layer in sources)
                image = ImageToPush(root, manifests, sources)
                reference = str(to.digest) if to.digest else to.tag
                assert reference is not None
                pushed = await pushing.push(registry, to.repository, reference, image, self._content, report)
                if in_whole:
                    await self._remember(held.image, to, pushed)
                more = await push_attached(self._content, registry, to, held.image, here, image, report)
                warnings = (*pushed.warnings, *more.warnings)
                pushed = Pushed(pushed.root, pushed.sent + more.sent, pushed.spared + more.spared, warnings)
            except DigestMismatch:
                for digest in held.here:  # a load that finds all of them here would look no further
                    await self._content.drop_if_damaged(digest)
                raise
            finally:
                await registry.close()
        self._images.record("image", "push", str(held.image.image_id), {"name": to.familiar}, held.image.labels)
        return pushed

    async def _remember(self, image: StoredImage, to: Reference, pushed: Pushed) -> None:
        await self._content.database.write(
            "images.pushed", lambda c: pushed_rows.remember(c, image.root, to.name, pushed.root)
        )

    async def _hold(self, name: str, to: Reference, lease: str) -> _Held:
        """The image *name*, all of whose blobs *lease* holds now."""

        def work(connection: sqlite3.Connection) -> _Held:
            image = find(connection, name)
            if to.digest is None and str(to) not in image.names and _reads_as(name, to):
                raise NotFound(
                    f"No such image: {to.familiar}", hint="an id is no name in a registry: say where to push the image"
                )
            here = frozenset(digest for digest, _size in blob_rows.closure(connection, image.root))
            for digest in here:
                leases.keep_blob(connection, lease, digest)
            named = [
                (Reference.parse(other), frozenset(digest for digest, _size in blob_rows.closure(connection, root)))
                for other, root in image_rows.names_at(connection, to.registry)
            ]
            return _Held(image, here, [(other, digests & here) for other, digests in named])

        return await self._content.database.write("images.push", work)

    def _compressing(
        self, registry: Registry, repository: str, algorithm: Algorithm, lease: str, report: Report
    ) -> Compress:
        async def is_there(digest: Digest) -> bool:
            return await registry.has_blob(repository, digest)

        async def compress(layer: Descriptor) -> Descriptor:
            return await self._compressor.compress(layer, algorithm, lease, is_there, report)

        return compress

    async def _documents(self, held: _Held, wanted: Platform | None) -> tuple[Document, tuple[Document, ...]]:
        """The root to push and, of an index, its manifests."""
        image = held.image
        root = await self._document(await self._images.root(image))
        parsed = _parsed(root)
        if isinstance(parsed, Manifest):
            if wanted is not None:
                await self._check_platform(image, parsed, wanted)
            return root, ()
        manifests = {
            described.digest: await self._document(described)
            for described in parsed.manifests
            if described.digest in held.here
        }
        whole = {digest for digest, document in manifests.items() if _needs(document) <= held.here}
        if wanted is not None:
            chosen = platforms.choose([one for one in parsed.manifests if one.digest in whole], wanted)
            if chosen is None:
                raise NotFound(f"{_called(image)} is not here for {wanted}", hint=_here(parsed, whole))
            return manifests[chosen.digest], ()
        if missing := [one for one in parsed.manifests if one.digest not in whole]:
            told = platforms.listed(missing) or f"{len(missing)} of its manifests"
            raise NotFound(f"{_called(image)} is not here in whole: {told} missing", hint=_here(parsed, whole))
        return root, tuple(manifests[one.digest] for one in parsed.manifests)

    async def _document(self, described: Descriptor) -> Document:
        return Document(described, await self._content.read_document(described.digest))

    async def _check_platform(self, image: StoredImage, manifest: Manifest, wanted: Platform) -> None:
        config = parse_config(await self._content.read_document(manifest.config.digest))
        own = Platform(os=config.os, architecture=config.architecture, variant=config.variant)
        if config.os and config.architecture and not platforms.fits(own, wanted):
            raise NotFound(f"{_called(image)} is not here for {wanted}", hint=f"it is for {own}")


async def _compressed(
    root: Document, manifests: tuple[Document, ...], compress: Compress
) -> tuple[Document, tuple[Document, ...], dict[Digest, Descriptor]]:
    """The root and the manifests of its index with their layers compressed, and what each layer became."""
    is_index = media_types.is_index(root.descriptor.media_type)
    plain = recompressing.uncompressed_layers(manifests if is_index else (root,))
    became = await each(plain, compress, limit=COMPRESSED_AT_ONCE)
    layers = {layer.digest: new for layer, new in zip(plain, became, strict=True)}
    if not is_index:
        return recompressing.with_layers(root, layers), (), layers
    replaced = {one.descriptor.digest: recompressing.with_layers(one, layers) for one in manifests}
    return recompressing.with_manifests(root, replaced), tuple(replaced.values()), layers


def _algorithm(compression: str) -> Literal["gzip", "zstd", "none"]:
    if compression not in COMPRESSIONS:
        raise InvalidArgument(f"unknown compression {compression!r}", hint=f"compressions: {', '.join(COMPRESSIONS)}")
    return cast(Literal["gzip", "zstd", "none"], compression)


def _reads_as(name: str, to: Reference) -> bool:
    """Whether *name* is what *to* was made from: nobody said another destination."""
    try:
        return Reference.parse(name).with_default_tag() == to
    except InvalidReference:
        return False


def _parsed(document: Document) -> Manifest | Index:
    return parse_manifest(document.data, document.descriptor.media_type)


def _needs(document: Document) -> set[Digest]:
    """The blobs that a manifest of an index cannot be pushed without."""
    return {blob.digest for blob in pushing.blobs_of(ImageToPush(document))}


def _called(image: StoredImage) -> str:
    return Reference.parse(image.names[0]).familiar if image.names else str(image.image_id)


def _here(index: Index, whole: set[Digest]) -> str:
    """What can be pushed of it, as a hint."""
    here = platforms.listed([one for one in index.manifests if one.digest in whole])
    return f"push one platform of it with --platform; here: {here}" if here else "copy or load it with --all-platforms"
