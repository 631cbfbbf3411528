"""The identity of a stack of layers (image-spec, config.md, "Layer ChainID")."""

from __future__ import annotations

from collections.abc import Sequence

from jackstay_oci.digest import Digest


def chain_ids(diff_ids: Sequence[Digest]) -> list[Digest]:
    """The ChainID of every prefix of ``diff_ids``, lowest first.

    The first equals the first diffID; each further one is the digest of ``<ChainID below> <diffID>``, both written with
    their algorithm.
    """
    chain: list[Digest] = []
    for diff_id in diff_ids:
        chain.append(Digest.of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return chain
