"""Lists that registries give in pages: tags of a repository, repositories of a registry."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec

from jackstay_oci.errors import LimitExceeded, RegistryFailed
from jackstay_oci.registry import scopes
from jackstay_oci.registry.sending import Reply, Sender

T = TypeVar("T")

MAX_PAGES = 10_000
PAGE = 1000
"""Entries to ask for at once; a registry may give fewer."""

_LINK = re.compile(r"<([^<>]{1,4096})>([^<>]{0,1024})")
_NEXT = re.compile(r';\s{0,8}rel\s{0,8}=\s{0,8}"?next"?(?=[\s;,]|$)', re.IGNORECASE)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_REPOSITORY = re.compile(r"[a-z0-9._/-]{1,255}", re.ASCII)


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class _Catalog(msgspec.Struct):
    repositories: list[str] | None = None


async def tags(sender: Sender, repository: str) -> AsyncIterator[str]:
    """The tags of a repository. Raises `RegistryFailed` when an answer is no list of tags."""
    what = f"repository {repository}"
    async for reply in _pages(sender, f"{repository}/tags/list", what, scopes.pull(repository)):
        for tag in _decoded(sender, reply, _Tags, what).tags or ():
            yield _plain(sender, tag, _TAG, what)


async def repositories(sender: Sender) -> AsyncIterator[str]:
    """The repositories. Raises `NotFound` when the registry offers no catalogue."""
    async for reply in _pages(sender, "_catalog", "catalogue", scopes.CATALOG):
        for name in _decoded(sender, reply, _Catalog, "catalogue").repositories or ():
            yield _plain(sender, name, _REPOSITORY, "catalogue")


def next_page(reply: Reply) -> str:
    """The URL of the page after *reply*; empty when there is none or it lies on another server (RFC 8288)."""
    for target, parameters in _LINK.findall(reply.headers.get("Link", "")[:16384]):
        if _NEXT.search(parameters):
            url = urljoin(reply.url, target)
            there, here = urlsplit(url), urlsplit(reply.url)
            return url if (there.scheme, there.netloc) == (here.scheme, here.netloc) else ""
    return ""


async def _pages(sender: Sender, path: str, what: str, scope: str) -> AsyncIterator[Reply]:
    target, params = path, {"n": str(PAGE)}
    seen: set[str] = set()
    for _ in range(MAX_PAGES):
        reply = await sender.send("GET", target, what=what, scopes=(scope,), params=params)
        yield reply
        target, params = next_page(reply), {}
        if not target:
            return
        if target in seen:
            raise RegistryFailed(f"{sender.registry} gives the pages of {what} in a circle", hint="is it a registry?")
        seen.add(target)
    raise LimitExceeded(f"{what} of {sender.registry} has more than {MAX_PAGES} pages")


def _decoded(sender: Sender, reply: Reply, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise RegistryFailed(f"{sender.registry} gives no list for {what}", hint="is it a registry?") from None


def _plain(sender: Sender, name: str, grammar: re.Pattern[str], what: str) -> str:
    if grammar.fullmatch(name) is None:
        raise RegistryFailed(f"{sender.registry} lists the malformed name {name[:140]!r} ({what})")
    return name
