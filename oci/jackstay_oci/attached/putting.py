"""Attached documents are put into a registry, beside an image that is there.

Guarantees: what the registry has is not sent, nor asked for one by one; a signature that it has is not taken away: a
tag is moved only to a manifest that has every layer of the one before. Where the registry keeps no list of referrers,
the index under the tag ``sha256-HEX`` is extended (distribution-spec, pushing manifests with subject). What it refuses
is told, and no reason to fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import msgspec

from jackstay_oci import media_types
from jackstay_oci.at_once import each
from jackstay_oci.attached.offer import Attached
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Index, Manifest, parse_manifest
from jackstay_oci.errors import Error, InvalidDocument, LimitExceeded, NotFound
from jackstay_oci.registry.pushing import BLOBS_AT_ONCE, ImageToPush, Report, blobs_of, place_blob
from jackstay_oci.registry.referring import fallback_tag
from jackstay_oci.registry.registry import BlobReader, Document, Registry

MAX_LISTED = 1000
"""Entries of an index of referrers that is extended here."""


@dataclass(slots=True)
class Put:
    """What came of it, in bytes, as of an image; and a line for everything that is not there."""

    sent: int = 0
    spared: int = 0
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Place:
    """Where attached documents go, and what gives their blobs."""

    registry: Registry
    repository: str
    reader: BlobReader
    report: Report
    sources: Mapping[Digest, Sequence[str]] = field(default_factory=dict)
    """For a blob, other repositories of the registry that may have it."""


async def put_attached(place: Place, attached: Sequence[Attached]) -> Put:
    """Put *attached*, each after what it is about."""
    put = Put()
    failed = False
    for (about, by_tag), group in _grouped(attached):
        try:
            if by_tag:
                for one in group:
                    await _tag(place, one, put)
            else:
                await _refer(place, about, list(group), put)
        except Error as error:
            if not failed:  # the others fail by the same
                put.warnings.append(_failed(error))
            failed = True
    return put


async def plan_attached(place: Place, attached: Sequence[Attached]) -> Put:
    """What `put_attached` will send, without indexes of referrers; a mount that is possible is taken for one that the
    registry does."""
    put = Put()
    blobs: dict[Digest, Descriptor] = {}
    try:
        for (about, by_tag), group in _grouped(attached):
            listed = set() if by_tag else await _listed(place, about)
            for one in group:
                if one.digest == await _tagged(place, one) if by_tag else one.digest in listed:
                    put.spared += _size(one)
                    continue
                put.sent += len(one.data)
                named = blobs_of(ImageToPush(_document(one)))
                put.spared += sum(blob.size for blob in named if blob.digest in blobs)  # sent with another one
                blobs.update((blob.digest, blob) for blob in named)

        async def lacked(blob: Descriptor) -> int:
            there = place.sources.get(blob.digest) or await place.registry.has_blob(place.repository, blob.digest)
            return 0 if there else blob.size

        lacking = sum(await each(blobs.values(), lacked, limit=BLOBS_AT_ONCE))
        put.sent += lacking
        put.spared += sum(blob.size for blob in blobs.values()) - lacking
    except Error as error:
        put.warnings.append(_failed(error))
    return put


def _grouped(attached: Sequence[Attached]) -> Iterator[tuple[tuple[Digest, bool], Iterator[Attached]]]:
    """By what it is about, and whether by a tag."""
    return groupby(attached, lambda one: (one.offer.about, bool(one.offer.kind)))


async def _listed(place: Place, about: Digest) -> set[Digest]:
    return {one.digest for one in await place.registry.referrers(place.repository, about)}


async def _tagged(place: Place, one: Attached) -> Digest | None:
    """What its tag means there."""
    try:
        return (await place.registry.resolve(place.repository, one.offer.tag)).digest
    except NotFound:
        return None


def _failed(error: Error) -> str:
    return f"not all that is attached to the image was pushed: {error.message}"


async def _tag(place: Place, one: Attached, put: Put) -> None:
    tag = one.offer.tag
    there = await _tagged(place, one)
    if there == one.digest:
        put.spared += _size(one)
        return
    if there is not None:
        document = await place.registry.manifest(place.repository, tag)
        if not _has_all_of(one.manifest, document):
            put.warnings.append(
                f"{place.registry.name} has others under {place.repository}:{tag} than this host, and keeps them"
            )
            return
    await _blobs(place, one, put)
    await place.registry.put_manifest(place.repository, tag, _document(one))
    put.sent += len(one.data)


async def _refer(place: Place, about: Digest, group: Sequence[Attached], put: Put) -> None:
    listed = await _listed(place, about)
    unlisted = []
    for one in group:
        if one.digest in listed:
            put.spared += _size(one)
            continue
        await _blobs(place, one, put)
        if not await place.registry.put_manifest(place.repository, str(one.digest), _document(one)):
            unlisted.append(one)
        put.sent += len(one.data)
    if unlisted:
        put.sent += await _list(place, about, unlisted)


async def _blobs(place: Place, one: Attached, put: Put) -> None:
    blobs = blobs_of(ImageToPush(_document(one)))

    async def blob(described: Descriptor) -> int:
        sources = place.sources.get(described.digest, ())
        return await place_blob(place.registry, place.repository, described, sources, place.reader, place.report)

    sent = sum(await each(blobs, blob, limit=BLOBS_AT_ONCE))
    put.sent += sent
    put.spared += sum(described.size for described in blobs) - sent


async def _list(place: Place, about: Digest, added: Iterable[Attached]) -> int:
    """Extend the index under the tag; bytes sent. Whoever does the same at the same time wins or loses."""
    tag = fallback_tag(about)
    try:
        there: Document | None = await place.registry.manifest(place.repository, tag)
    except NotFound:
        there = None
    document = extended(there, added, f"{place.repository}:{tag} of {place.registry.name}")
    await place.registry.put_manifest(place.repository, tag, document)
    return len(document.data)


def extended(there: Document | None, added: Iterable[Attached], what: str) -> Document:
    """The index of referrers with more of them; fields that nobody here knows stay.

    Raises `InvalidDocument` when *there* is no such index, `LimitExceeded`.
    """
    index: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": []}
    if there is not None:
        if not isinstance(parse_manifest(there.data, there.descriptor.media_type), Index):
            raise InvalidDocument(f"{what} is no index of referrers")
        index |= msgspec.json.decode(there.data)
    index["manifests"] = [*(index["manifests"] or ()), *map(_entry, added)]
    if len(index["manifests"]) > MAX_LISTED:
        raise LimitExceeded(f"{what} would name more than {MAX_LISTED} referrers")
    data = msgspec.json.encode(index)
    media_type = there.descriptor.media_type if there is not None else media_types.OCI_INDEX
    return Document(Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data)), data)


def _entry(one: Attached) -> dict[str, Any]:
    document = one.offer.document
    entry = {"mediaType": document.media_type, "digest": str(document.digest), "size": document.size}
    more = {"artifactType": one.artifact_type, "annotations": one.manifest.annotations}
    return {**entry, **{key: value for key, value in more.items() if value}}


def _has_all_of(manifest: Manifest, before: Document) -> bool:
    """Whether nothing is lost when *manifest* takes the place of *before*."""
    old = parse_manifest(before.data, before.descriptor.media_type)
    if isinstance(old, Index):
        return False
    return {_content(layer) for layer in old.layers} <= {_content(layer) for layer in manifest.layers}


def _content(layer: Descriptor) -> tuple[Digest, frozenset[tuple[str, str]]]:
    """A layer with its annotations: signatures of one payload by two keys differ by these alone."""
    return layer.digest, frozenset(layer.annotations.items())


def _document(one: Attached) -> Document:
    return Document(one.offer.document, one.data)


def _size(one: Attached) -> int:
    return sum(blob.size for blob in one.blobs)
