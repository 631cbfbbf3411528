"""The bytes of a blob from a registry: a range of it, which goes on where a connection broke."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

import aiohttp

from jackstay_oci.digest import Digest
from jackstay_oci.errors import RegistryFailed
from jackstay_oci.registry import connecting, scopes
from jackstay_oci.registry.answers import Answer, Answers
from jackstay_oci.registry.retrying import pause
from jackstay_oci.registry.transport import Transport

_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.ASCII)


async def read(
    transport: Transport, repository: str, digest: Digest, offset: int, length: int, answers: Answers
) -> AsyncGenerator[bytes, None]:
    """As `Registry.read`, from one server. The tries are counted anew whenever one has brought something."""
    what = f"blob {digest} of {repository}"
    end = offset + length
    fruitless = 0

    async def ask() -> Answer:
        response = await transport.begin(
            f"{repository}/blobs/{digest}",
            what=what,
            scopes=(scopes.pull(repository),),
            headers={"Range": f"bytes={offset}-{end - 1}"},
            ok=(200, 206, 416),
        )
        try:
            return Answer(response, _first(transport.registry, what, response, offset))
        except BaseException:
            response.close()
            raise

    while offset < end:
        before = offset
        try:
            async with answers.open((transport, repository, digest), offset, ask) as answer:
                async with aclosing(answer.take(offset, end)) as pieces:
                    async for piece in pieces:
                        offset += len(piece)
                        yield piece
                if offset < end and answer.response.content_length is not None:
                    raise _short(transport.registry, what, offset)
        except connecting.BROKEN as error:
            broke: RegistryFailed = transport.broke(what, error)
        else:
            broke = _short(transport.registry, what, offset)
        if offset >= end:
            return
        fruitless = 1 if offset > before else fruitless + 1
        seconds = pause(transport.patience, fruitless, None, random.random())  # noqa: S311 (spreads the tries)
        if seconds is None:
            raise broke
        await asyncio.sleep(seconds)


def _short(registry: str, what: str, offset: int) -> RegistryFailed:
    return RegistryFailed(f"{registry} gives only {offset} bytes of {what}", hint="push the image again")


def _first(registry: str, what: str, response: aiohttp.ClientResponse, offset: int) -> int:
    """Which byte of the blob is the answer's first: that at *offset*, or that at 0 where ranges are ignored.

    Raises:
        RegistryFailed: it is not the range that was asked for.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise RegistryFailed(
            f"{registry} gives {what} encoded once more, which was not asked for",
            hint="switch the compression of answers off at the registry, or at the proxy before it",
        )
    if response.status == 416:
        raise _short(registry, what, offset)
    if response.status == 200:
        return 0
    given = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if given is None or int(given[1]) != offset or int(given[2]) < offset:
        raise RegistryFailed(
            f"{registry} gives another part of {what} than byte {offset} and on",
            hint="a proxy before the registry may be at fault",
        )
    return offset
