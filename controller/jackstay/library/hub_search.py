"""Searches Docker Hub, as ``docker search`` does: by the first version of its API, for which nobody need log in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec
from yarl import URL

from jackstay.errors import RateLimited, RegistryFailed
from jackstay.library.registries import FoundImage
from jackstay_oci.reference import DEFAULT_REGISTRY
from jackstay_oci.registry import bodies, certificates, connecting, proxies
from jackstay_oci.registry.retrying import Patience

SEARCH = "https://index.docker.io/v1/search"
MAX_ANSWER = 4 << 20
"""Bytes."""


class _Result(msgspec.Struct):
    name: str
    description: str | None = None
    star_count: int = 0
    is_official: bool = False
    is_automated: bool = False


class _Answer(msgspec.Struct):
    results: list[_Result] | None = None


async def search_hub(term: str, limit: int, environ: Mapping[str, str]) -> list[FoundImage]:
    """The images that the Hub finds, at most ``limit`` of them, in its order.

    Raises:
        RateLimited: it was asked too often.
        RegistryFailed: it cannot be reached, or answers what is no list of images.
    """
    url = f"{SEARCH}?{urlencode({'q': term, 'n': limit})}"
    patience = Patience()
    tls = await asyncio.to_thread(certificates.context, None)
    async with connecting.session(patience, tls) as session:
        try:
            async with asyncio.timeout(patience.document):
                async with session.get(url, allow_redirects=False, proxy=proxies.proxy(url, environ)) as response:
                    body = await bodies.whole(response, MAX_ANSWER)
        except connecting.BROKEN as error:
            raise connecting.unreachable(DEFAULT_REGISTRY, URL(SEARCH), "a search", error) from None
    if response.status == 429:
        raise RateLimited(f"{DEFAULT_REGISTRY} was asked too often", hint="wait a while")
    if response.status != 200 or body is None:
        raise RegistryFailed(f"{DEFAULT_REGISTRY} answers a search with status {response.status}")
    return found_images(body)[:limit]


def found_images(answer: bytes) -> list[FoundImage]:
    """The images in an answer.

    Raises:
        RegistryFailed: it is none.
    """
    try:
        results = msgspec.json.decode(answer, type=_Answer).results or []
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise RegistryFailed(f"{DEFAULT_REGISTRY} answers a search with what is no list of images") from None
    return [
        FoundImage(one.name, one.description or "", one.star_count, one.is_official, one.is_automated)
        for one in results
    ]
