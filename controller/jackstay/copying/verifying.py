"""Signatures that this machine looks at: of images that it asks a registry for in place of hosts without a way out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jackstay_oci.digest import Digest
    from jackstay_oci.reference import Reference
    from jackstay_oci.registry.registry import Registry
    from jackstay_oci.signatures.keys import PublicKey


def parse_keys(pems: Sequence[bytes]) -> list[PublicKey]:
    """The public keys; errors call them as those of agents do.

    Raises:
        InvalidArgument: one is no public key in PEM.
    """
    if not pems:
        return []
    from jackstay_oci.signatures.keys import parse_key

    if len(pems) == 1:
        return [parse_key(pems[0], "the key given")]
    return [parse_key(pem, f"key {number}") for number, pem in enumerate(pems, 1)]


async def verify(registry: Registry, reference: Reference, digest: Digest, keys: Sequence[PublicKey]) -> None:
    """Accept the image *digest*, which *reference* names: one of *keys* has signed it, where there are any.

    Raises:
        Untrusted: none has.
        Unauthorized, RateLimited, RegistryFailed: the registry does not say.
    """
    if not keys:
        return
    from jackstay_oci.signatures.finding import find_signatures
    from jackstay_oci.signatures.judging import judge

    signatures = await find_signatures(registry, reference.repository, digest)
    await asyncio.to_thread(judge, signatures, keys, reference.name, digest)
