"""The documents of an image that comes: its index, the manifest that is unpacked, its config, and those kept beside it.

Guarantees: every document is within `Limits`, is what its descriptor says, and is referred to by the one that names it,
so that collection keeps what belongs together; of an index, the manifest of the platform wanted is chosen among those
the source has. Leaves to `receiving`: the layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jackstay_agent.config import Limits
from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import InvalidDocument, LimitExceeded, Unsupported
from jackstay_agent.fetch.blob import BlobFetcher, Fetched
from jackstay_agent.fetch.progress import Report
from jackstay_agent.fetch.source import Source
from jackstay_agent.metadata import blobs as blob_rows
from jackstay_oci import media_types, platforms
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Index, Manifest, Platform, parse_config, parse_manifest
from jackstay_oci.image_config import ImageConfig
from jackstay_oci.reference import Reference

MANIFESTS = 1000
"""Manifests of one index that are kept at most."""


@dataclass(frozen=True, slots=True)
class Target:
    """An image to make be here: its root descriptor and the canonical names to give it.

    The rest is of an index: the manifest of *platform* is unpacked (None: this host's), out of *manifests*, those that
    the source has (none: all of them); with *all_platforms* the others are kept as blobs.
    """

    root: Descriptor
    names: tuple[str, ...]
    platform: Platform | None = None
    all_platforms: bool = False
    manifests: frozenset[Digest] = frozenset()
    event: str = "load"  # what it is called when it is here: "load", "import", "pull"
    pulled: bool = False  # it is brought in place of a pull by this host

    @property
    def label(self) -> str:
        """What people call it: its first name, else its digest."""
        return Reference.parse(self.names[0]).familiar if self.names else str(self.root.digest)


@dataclass(frozen=True, slots=True)
class Documents:
    """What an image is made of: the manifest that is unpacked, its config, and blobs that are only kept."""

    digest: Digest  # of the manifest
    manifest: Manifest
    config: ImageConfig
    others: tuple[Digest, ...]  # of the index's other manifests that are kept
    beside: tuple[Descriptor, ...]  # configs and layers of the index's other manifests, none of the manifest's own
    moved: tuple[Fetched, ...]


class DocumentReceiver:
    """Receives documents with the agent's one *fetcher*."""

    def __init__(self, content: ContentStore, fetcher: BlobFetcher, limits: Limits) -> None:
        self._content = content
        self._fetcher = fetcher
        self._limits = limits

    async def receive(self, target: Target, sources: Sequence[Source], lease: str, report: Report) -> Documents:
        """Make the documents of *target* be here, held by *lease*.

        Raises `Unsupported` when the source has no manifest for the platform, `InvalidDocument`, `LimitExceeded`, and
        what `BlobFetcher.fetch` raises.
        """
        moved: list[Fetched] = []

        async def come(blob: Descriptor) -> None:
            moved.append(await self._document(blob, sources, lease, report))

        async def inner(described: Descriptor) -> Manifest:
            await come(described)
            document = await self._parsed(described)
            if isinstance(document, Index):
                raise InvalidDocument(f"index {target.root.digest} names another index")
            await self._check(described.digest, document)
            return document

        await come(target.root)
        root = await self._parsed(target.root)
        if isinstance(root, Index):
            described, others = _choose(target, root)
            await self._refer(target.root.digest, [described, *others])
            manifest = await inner(described)
        else:
            described, others, manifest = target.root, [], root
            await self._check(described.digest, manifest)
        for layer in manifest.layers:
            if not media_types.is_layer(layer.media_type):
                raise Unsupported(f"image {described.digest} has a layer of media type {layer.media_type[:100]!r}")
        await come(manifest.config)
        config = parse_config(await self._content.read_document(manifest.config.digest))
        if len(config.rootfs.diff_ids) != len(manifest.layers):
            raise InvalidDocument(
                f"image {described.digest} has {len(manifest.layers)} layers, its config names "
                f"{len(config.rootfs.diff_ids)}"
            )
        if described is target.root:
            _check_platform(target, config)
        own = {manifest.config.digest, *(layer.digest for layer in manifest.layers)}
        beside: dict[Digest, Descriptor] = {}
        for other in others:
            kept = await inner(other)
            beside.update((blob.digest, blob) for blob in (kept.config, *kept.layers) if blob.digest not in own)
        kept_others = tuple(other.digest for other in others)
        return Documents(described.digest, manifest, config, kept_others, tuple(beside.values()), tuple(moved))

    async def _document(self, blob: Descriptor, sources: Sequence[Source], lease: str, report: Report) -> Fetched:
        if blob.size > self._limits.document_bytes:
            raise LimitExceeded(
                f"document {blob.digest} has {blob.size} bytes, the bound document_bytes is "
                f"{self._limits.document_bytes}"
            )
        fetched = await self._fetcher.fetch(blob, sources, lease, report)
        return await self._fetcher.repair(blob, sources, lease, report) or fetched

    async def _parsed(self, blob: Descriptor) -> Manifest | Index:
        return parse_manifest(await self._content.read_document(blob.digest), blob.media_type)

    async def _check(self, digest: Digest, manifest: Manifest) -> None:
        """Refuse a manifest out of bounds; what it names belongs to it from now on."""
        if len(manifest.layers) > self._limits.layers:
            raise LimitExceeded(
                f"image {digest} has {len(manifest.layers)} layers, the bound layers is {self._limits.layers}"
            )
        for layer in manifest.layers:
            if layer.size > self._limits.layer_bytes:
                raise LimitExceeded(
                    f"layer {layer.digest} has {layer.size} bytes, the bound layer_bytes is {self._limits.layer_bytes}"
                )
        await self._refer(digest, [manifest.config, *manifest.layers])

    async def _refer(self, parent: Digest, children: Sequence[Descriptor]) -> None:
        digests = [child.digest for child in children]
        await self._content.database.write("content.references", lambda c: blob_rows.refer(c, parent, digests))


def _choose(target: Target, index: Index) -> tuple[Descriptor, list[Descriptor]]:
    """The manifest to unpack, and the others to keep."""
    held = [one for one in index.manifests if not target.manifests or one.digest in target.manifests]
    wanted = target.platform or platforms.this_host()
    chosen = platforms.choose(held, wanted)
    if chosen is None:
        raise Unsupported(
            f"image {target.label} has no manifest for {wanted}",
            hint=f"it is for {platforms.listed(held) or 'no platform'}",
        )
    others = {one.digest: one for one in held if one.digest != chosen.digest} if target.all_platforms else {}
    if len(others) >= MANIFESTS:
        raise LimitExceeded(f"index {target.root.digest} names {len(others) + 1} manifests, the bound is {MANIFESTS}")
    return chosen, list(others.values())


def _check_platform(target: Target, config: ImageConfig) -> None:
    """Of an image of one platform, another cannot be had. One that does not say what it is for fits every wish."""
    if target.platform is None or not (config.os and config.architecture):
        return
    own = Platform(os=config.os, architecture=config.architecture, variant=config.variant)
    if not platforms.fits(own, target.platform):
        raise Unsupported(f"image {target.label} is not for {target.platform}", hint=f"it is for {own}")
