"""From which repositories a registry may take blobs that are to be pushed, so that they need not be sent. Pure.

An image here that has a blob and a name in the same registry makes it likely that its repository there has the blob:
the base that an image was built on was pulled from there. Likely is enough, a registry that has not says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from jackstay_oci.digest import Digest
from jackstay_oci.reference import Reference

CANDIDATES = 3
"""Repositories that are tried for one blob at most: each costs a request."""


def sources(
    destination: Reference, held: Iterable[tuple[Reference, Collection[Digest]]]
) -> dict[Digest, tuple[str, ...]]:
    """For each blob the repositories to try, in the order of *held*: names of images with the blobs that they have."""
    found: dict[Digest, dict[str, None]] = {}
    for name, digests in held:
        if name.registry != destination.registry or name.repository == destination.repository:
            continue
        for digest in digests:
            repositories = found.setdefault(digest, {})
            if len(repositories) < CANDIDATES:
                repositories[name.repository] = None
    return {digest: tuple(repositories) for digest, repositories in found.items()}
