"""What is done to the files of the agent's content beside reading and writing them. Blocking; called in threads."""

from __future__ import annotations

import os
from collections.abc import Collection

from jackstay_agent.errors import NotFound
from jackstay_oci.digest import Digest, hasher
from jackstay_oci.store.blobs import BlobStore

_PIECE = 1 << 20


def fits(blobs: BlobStore, digest: Digest, size: int) -> bool:
    """Whether the blob's file is there with *size* bytes."""
    return blobs.has(digest) and blobs.size(digest) == size


def drop_if_damaged(blobs: BlobStore, digest: Digest) -> bool:
    """Delete the blob's file if it has not the digest that it is called by; whether it did."""
    hashing = hasher()
    try:
        file = blobs.open_blob(digest)
    except NotFound:
        return False
    with file:
        while piece := file.read(_PIECE):
            hashing.update(piece)
        # Others may have found the same, and a fetch may have brought the blob anew: that file stays.
        if Digest.finish(hashing) == digest or not _is_at(blobs, digest, file.fileno()):
            return False
        return blobs.delete(digest)


def give_up_oldest(blobs: BlobStore, keep: str, room: int) -> list[str]:
    """Give up partial blobs, the oldest first, until those but *keep* have at most *room* bytes; which."""
    others = sorted((one for one in blobs.ingests() if one.ref != keep), key=lambda one: one.updated_ns)
    left = sum(one.offset for one in others)
    given_up = []
    for one in others:
        if left <= room:
            break
        if blobs.evict(one.ref):
            given_up.append(one.ref)
            left -= one.offset
    return given_up


def give_up(blobs: BlobStore, keep: Collection[str]) -> dict[str, int]:
    """Give up every partial blob that nobody writes to but those of *keep*; which, and how many bytes each had."""
    return {
        status.ref: status.offset
        for status in list(blobs.ingests())
        if status.ref not in keep and blobs.evict(status.ref)
    }


def sweep(blobs: BlobStore, known: set[str], ingests: dict[str, int], oldest: int) -> tuple[int, list[str]]:
    """Delete files of blobs that are not *known*, and partial ones that are not among *ingests*, were made here, or
    were not written to since *oldest*; how many, and which of *ingests* have no file."""
    removed = blobs.sweep()
    for digest, _size in blobs.walk():
        if str(digest) not in known:
            removed += blobs.delete(digest)
    kept = set()
    for status in blobs.ingests():
        resumable = status.ref in ingests and not status.ref.startswith("made-") and status.updated_ns >= oldest
        if resumable:
            kept.add(status.ref)
        else:
            blobs.abort(status.ref)
            removed += 1
    return removed, [ref for ref in ingests if ref not in kept]


def _is_at(blobs: BlobStore, digest: Digest, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(blobs.path(digest)), os.fstat(descriptor))
    except FileNotFoundError:
        return False
