"""All that is attached to an image, and to what is attached to it, in bounds.

Guarantees: at most `DOCUMENTS` manifests of `DOCUMENT_BYTES` each, which name at most `BLOBS` blobs, `BYTES` bytes in
all, down to `DEPTH`; a manifest is what its digest says, and about what it was said to be about. What is beyond, and
what cannot be had, is left out with a warning: an image is not refused for what somebody attached to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from jackstay_oci import media_types
from jackstay_oci.at_once import each
from jackstay_oci.attached.offer import SIGNATURE, Attached, Offer, is_kind
from jackstay_oci.digest import Digest, verify
from jackstay_oci.documents import Index, parse_manifest
from jackstay_oci.errors import Error, InvalidDocument, LimitExceeded

DEPTH = 3
"""1: what is attached to the image; 2: what is attached to that, such as the signature of a bill of materials."""
DOCUMENTS = 64
DOCUMENT_BYTES = 1 << 20
BLOBS = 256
BYTES = 64 << 20
"""Of manifests and blobs together."""
SUBJECTS = 64
"""Manifests of one image that are asked for."""
AT_ONCE = 4
WARNINGS = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody says is attached to a manifest, and why that may not be all."""

    offers: Sequence[Offer] = ()
    failures: Sequence[Error] = ()


Ask = Callable[[Digest], Awaitable[Answer]]
"""What is attached to a manifest."""

Read = Callable[[Offer], Awaitable[bytes]]
"""The bytes of an offered manifest. Raises `Error`."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found, each after what it is about; and what is missing, a line for each cause."""

    found: tuple[Attached, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Room:
    """What may still come."""

    documents: int = DOCUMENTS
    blobs: int = BLOBS
    bytes: int = BYTES

    def take(self, *, documents: int = 0, blobs: int = 0, bytes: int = 0) -> bool:
        """Take so much, if there is room for all of it."""
        if documents > self.documents or blobs > self.blobs or bytes > self.bytes:
            return False
        self.documents -= documents
        self.blobs -= blobs
        self.bytes -= bytes
        return True


@dataclass(slots=True)
class _Gathering:
    """One run: what is known so far."""

    image: frozenset[Digest]
    room: _Room = field(default_factory=_Room)
    found: list[Attached] = field(default_factory=list)
    seen: set[tuple[Digest, Digest, str]] = field(default_factory=set)
    documents: dict[Digest, Attached] = field(default_factory=dict)
    counted: set[Digest] = field(default_factory=set)  # blobs
    told: dict[str, None] = field(default_factory=dict)

    def warn(self, why: str) -> None:
        """Tell each cause once, and not more than `WARNINGS` of them."""
        if len(self.told) < WARNINGS:
            self.told[f"not all that is attached to the image comes with it: {why}"] = None

    def chosen(self, offers: Iterable[Offer]) -> list[Offer]:
        """Those that there is room for, each once, and not what the image has of its own."""
        chosen, new = [], set[Digest]()
        for offer in offers:
            one = offer.document
            key = (one.digest, offer.about, offer.kind)
            if key in self.seen or one.digest in self.image:
                continue
            self.seen.add(key)
            if offer.kind and not is_kind(offer.kind):
                self.warn(f"{one.digest} is attached by a tag that is none: {offer.kind[:100]!r}")
                continue
            if one.digest not in self.documents and one.digest not in new:
                if not media_types.is_manifest(one.media_type):
                    self.warn(f"{one.digest} is of media type {one.media_type[:100]!r}")
                    continue
                if one.size > DOCUMENT_BYTES:
                    self.warn(f"manifest {one.digest} has {one.size} bytes, the bound is {DOCUMENT_BYTES}")
                    continue
                if not self.room.take(documents=1, bytes=one.size):
                    self.warn(f"it is more than {DOCUMENTS} manifests, or {BYTES >> 20} MiB")
                    break
                new.add(one.digest)
            chosen.append(offer)
        return chosen

    def accept(self, one: Attached) -> bool:
        """Whether it is about what was said, and there is room for its blobs."""
        offer, subject = one.offer, one.manifest.subject
        if not offer.kind and (subject is None or subject.digest != offer.about):
            self.warn(f"{one.digest} is not about {offer.about}")
            return False
        blobs = [blob for blob in one.blobs if blob.digest not in self.counted]
        if not self.room.take(blobs=len(blobs), bytes=sum(blob.size for blob in blobs)):
            self.warn(f"it is more than {BLOBS} blobs, or {BYTES >> 20} MiB")
            return False
        self.counted.update(blob.digest for blob in blobs)
        self.found.append(one)
        return True


async def gather(image: Sequence[Digest], ask: Ask, read: Read) -> Gathered:
    """What is attached to the manifests *image*: its root and, of an index, those of its manifests that come along."""
    subjects = list(dict.fromkeys(image))
    run = _Gathering(frozenset(subjects))
    if len(subjects) > SUBJECTS:
        run.warn(f"it has {len(subjects)} manifests, the first {SUBJECTS} were asked for")
    level, asked = subjects[:SUBJECTS], set(subjects)
    for _ in range(DEPTH):
        offers: list[Offer] = []
        for answer in await each(level, ask, limit=AT_ONCE):
            offers += answer.offers
            for failure in answer.failures:
                run.warn(failure.message)
        chosen = run.chosen(offers)
        read_now = {offer.document.digest: offer for offer in chosen if offer.document.digest not in run.documents}
        for came in await each(read_now.values(), lambda offer: _document(offer, read), limit=AT_ONCE):
            if isinstance(came, Error):
                run.warn(came.message)
            else:
                run.documents[came.digest] = came
        level = []
        for offer in chosen:
            document = run.documents.get(offer.document.digest)
            if document is None:
                continue
            known = Offer(document.offer.document, offer.about, offer.kind)
            if not run.accept(Attached(known, document.data, document.manifest)):
                continue
            if offer.kind != SIGNATURE and document.digest not in asked:  # nobody signs signatures
                asked.add(document.digest)
                level.append(document.digest)
        if not level:
            break
    return Gathered(tuple(run.found), tuple(run.told))


async def _document(offer: Offer, read: Read) -> Attached | Error:
    one = offer.document
    try:
        data = await read(offer)
        if len(data) != one.size:
            raise LimitExceeded(f"manifest {one.digest} has {len(data)} bytes, {one.size} were announced")
        verify(data, one.digest, what=f"manifest {one.digest}")
        document = parse_manifest(data, one.media_type)
        if isinstance(document, Index):
            raise InvalidDocument(f"{one.digest} is an index")
    except Error as error:
        return error
    return Attached(offer, data, document)
