"""What a registry says is attached to a manifest.

Asks twice for what has nothing: for referrers, and by HEAD for a signature under cosign's tag, at the same time; where
there is any of them also for cosign's other tags. What is not there is no failure; anything else is told, and the rest
is taken.
"""

from __future__ import annotations

import asyncio

from jackstay_oci.attached.gathering import Answer
from jackstay_oci.attached.offer import BESIDE_SIGNATURES, SIGNATURE, Offer, tag
from jackstay_oci.digest import Digest
from jackstay_oci.errors import Error, NotFound
from jackstay_oci.registry.registry import Registry


async def ask_registry(registry: Registry, repository: str, about: Digest) -> Answer:
    """What is attached to the manifest *about* in the *repository*."""
    first = await asyncio.gather(_referrers(registry, repository, about), _tagged(registry, repository, about))
    found = _together(first)
    if not found.offers:
        return found
    others = [_tagged(registry, repository, about, kind) for kind in BESIDE_SIGNATURES]
    return _together([found, *await asyncio.gather(*others)])


async def _referrers(registry: Registry, repository: str, about: Digest) -> Answer:
    try:
        found = await registry.referrers(repository, about)
    except NotFound:
        return Answer()
    except Error as error:
        return Answer(failures=[error])
    return Answer([Offer(one, about) for one in found])


async def _tagged(registry: Registry, repository: str, about: Digest, kind: str = SIGNATURE) -> Answer:
    try:
        return Answer([Offer(await registry.resolve(repository, tag(about, kind)), about, kind)])
    except NotFound:
        return Answer()
    except Error as error:
        return Answer(failures=[error])


def _together(answers: list[Answer] | tuple[Answer, ...]) -> Answer:
    return Answer([one for each in answers for one in each.offers], [one for each in answers for one in each.failures])
