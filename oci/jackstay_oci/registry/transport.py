"""Requests to one server of a registry: authorized, redirected within bounds, and tried again where that may help.

Guarantees that authorization goes to the server's own origin (scheme, host and port) alone, that a request which began
with TLS never goes on without it, and that nothing of what is sent shows in an error.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from jackstay_oci.documents import MAX_DOCUMENT
from jackstay_oci.errors import Error, LimitExceeded, RegistryFailed
from jackstay_oci.registry import bodies, challenges, connecting
from jackstay_oci.registry.connections import Connections
from jackstay_oci.registry.failures import elsewhere, failure, is_rate_limit
from jackstay_oci.registry.granting import Grants
from jackstay_oci.registry.places import Place
from jackstay_oci.registry.retrying import RETRIED, Patience, pause, retry_after
from jackstay_oci.registry.sending import Body, Reply

T = TypeVar("T")

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WITH_BODY = frozenset({307, 308})  # redirects that keep the method and the body
_ERROR_BODY = 64 << 10
_NO_REGISTRY = "is it a registry?"
_AUTHORIZATIONS = 2  # a header that was held may have ended early, a new one may be too little


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: URL
    what: str
    scopes: Sequence[str]
    headers: Mapping[str, str] = field(repr=False)
    body: Body | None = field(repr=False)


class _Broken(Exception):
    """The server at *url* could not be spoken to."""

    def __init__(self, url: URL, error: BaseException) -> None:
        super().__init__()
        self.url = url
        self.error = error


class Transport:
    """Sends requests to the server at *place*; a :class:`~jackstay_oci.registry.sending.Sender`."""

    def __init__(
        self, registry: str, place: Place, connections: Connections, grants: Grants, patience: Patience
    ) -> None:
        self.registry = registry
        self.place = place
        self._connections = connections
        self._grants = grants
        self.patience = patience
        self._base = URL(place.base)

    async def send(
        self,
        method: str,
        target: str,
        *,
        what: str,
        scopes: Sequence[str] = (),
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        ok: Container[int] = (200,),
        limit: int = MAX_DOCUMENT,
        attempts: int | None = None,
    ) -> Reply:
        """See `Sender.send`."""
        request = _Request(method, self._url(target, params, what), what, scopes, headers or {}, body)

        async def whole(response: aiohttp.ClientResponse) -> Reply:
            async with response, asyncio.timeout(self.patience.document):
                data = await bodies.whole(response, limit)
                if data is None:
                    raise LimitExceeded(
                        f"{what} of {self.registry} has more than {limit} bytes",
                        hint="no document may have more; ask whoever pushed it",
                    )
                return Reply(response.status, response.headers, data, str(response.url))

        return await self._attempts(request, ok, attempts, whole)

    async def begin(
        self,
        target: str,
        *,
        what: str,
        scopes: Sequence[str],
        headers: Mapping[str, str],
        ok: Container[int],
        attempts: int | None = None,
    ) -> aiohttp.ClientResponse:
        """An answer to GET whose body is still to be read, the caller's to close. Raises as `Sender.send`."""
        request = _Request("GET", self._url(target, None, what), what, scopes, headers, None)

        async def begun(response: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
            return response

        return await self._attempts(request, ok, attempts, begun)

    def broke(self, what: str, error: BaseException) -> RegistryFailed:
        """The error of a body that broke off with one of `connecting.BROKEN`."""
        return self._connections.unreachable(self.registry, self._base, what, error)

    def _url(self, target: str, params: Mapping[str, str] | None, what: str) -> URL:
        query = dict(params or {})
        if "://" in target:
            text = target
        else:
            text = self.place.base + quote(target, safe="/:@")
            if self.place.mirror:
                query["ns"] = self.registry
        if query:
            text += ("&" if "?" in text else "?") + urlencode(query)
        url = self._parsed(text, what)
        if url.scheme not in ("http", "https") or not url.host:
            raise RegistryFailed(f"{self.registry} names an address that is none of HTTP ({what})", hint=_NO_REGISTRY)
        if loses_tls(self._base, url):
            raise RegistryFailed(
                f"{self.registry} redirects {what} to {url.host}, without TLS: refused",
                hint="the registry, or the storage behind it, must be set up to give https addresses",
            )
        return url

    def _parsed(self, text: str, what: str) -> URL:
        try:
            return URL(text, encoded=True)
        except ValueError:
            raise RegistryFailed(f"{self.registry} names an address that is none ({what})", hint=_NO_REGISTRY) from None

    async def _attempts(
        self,
        request: _Request,
        ok: Container[int],
        attempts: int | None,
        finish: Callable[[aiohttp.ClientResponse], Awaitable[T]],
    ) -> T:
        tried = 0
        while True:
            tried += 1
            asked: float | None = None
            try:
                response, home = await self._authorized(request)
                if response.status in ok:
                    return await finish(response)
                failed, again = await self._refusal(request, response, home)
                asked = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
            except _Broken as broken:
                failed = self._connections.unreachable(self.registry, broken.url, request.what, broken.error)
                again = not connecting.is_final(broken.error)
            except connecting.BROKEN as error:  # while a body was read
                failed, again = self.broke(request.what, error), True
            if not again or (attempts is not None and tried >= attempts):
                raise failed
            seconds = pause(self.patience, tried, asked, random.random())  # noqa: S311 (spreads the tries)
            if seconds is None:
                raise failed
            await asyncio.sleep(seconds)

    async def _refusal(self, request: _Request, response: aiohttp.ClientResponse, home: bool) -> tuple[Error, bool]:
        """The error that an answer is, and whether another try may help."""
        status, host = response.status, response.url.host or ""
        if not home:
            response.close()
            # What the registry signed for a moment may be over; another try gets another signature.
            return elsewhere(self.registry, request.what, host, status), status in RETRIED | {400, 401, 403}
        async with response, asyncio.timeout(self.patience.document):
            body = await bodies.whole(response, _ERROR_BODY) or b""
        again = status in RETRIED and (not is_rate_limit(status, body) or "Retry-After" in response.headers)
        return failure(self.registry, request.what, status, body), again

    async def _authorized(self, request: _Request) -> tuple[aiohttp.ClientResponse, bool]:
        """The answer after what the server wants to know of the caller has been said."""
        header = self._grants.header(request.scopes)
        for _ in range(_AUTHORIZATIONS):
            response, home = await self._redirected(request, header)
            if response.status != 401 or not home:
                return response, home
            asked = challenges.parse(response.headers.getall("WWW-Authenticate", []))
            try:
                header = await self._grants.ask(request.scopes, asked, header)
            except BaseException:
                response.close()
                raise
            if header is None:
                return response, home
            await self._drained(response)
        return await self._redirected(request, header)

    async def _redirected(self, request: _Request, header: str | None) -> tuple[aiohttp.ClientResponse, bool]:
        """The answer at the end of redirects, and whether it is the server's own."""
        url, method, body, home = request.url, request.method, request.body, True
        for _ in range(MAX_REDIRECTS + 1):
            home = home and same_origin(url, self._base)
            headers = dict(request.headers)
            if header is not None and home:
                headers["Authorization"] = header
            response = await self._sent(method, url, headers, body, home)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None:
                return response, home
            await self._drained(response)
            if method not in ("GET", "HEAD") and response.status not in _WITH_BODY:
                raise RegistryFailed(
                    f"{self.registry} redirects {request.what} to another place", hint="use the name of that place"
                )
            url = self._url(str(self._joined(url, location, request.what)), None, request.what)
        raise RegistryFailed(
            f"{self.registry} redirects {request.what} again and again: gave up after {MAX_REDIRECTS}",
            hint="ask who runs the registry, or the proxy before it",
        )

    async def _sent(
        self, method: str, url: URL, headers: Mapping[str, str], body: Body | None, home: bool
    ) -> aiohttp.ClientResponse:
        try:
            async with asyncio.timeout(None) as timeout:
                data: object = body
                if callable(body):
                    timeout.reschedule(asyncio.get_running_loop().time() + self.patience.connect + self.patience.idle)
                    data = bodies.watched(body(), timeout, self.patience.idle)
                return await self._connections.request(method, url, own=home, headers=headers, data=data)
        except connecting.BROKEN as error:
            raise _Broken(url, error) from error

    async def _drained(self, response: aiohttp.ClientResponse) -> None:
        """Read what nobody wants, if it is little: the connection can be used again then."""
        async with response, asyncio.timeout(self.patience.document):
            await bodies.whole(response, _ERROR_BODY)

    def _joined(self, url: URL, location: str, what: str) -> URL:
        joined = url.join(self._parsed(location, what))
        if not joined.absolute:
            raise RegistryFailed(f"{self.registry} redirects {what} to an address that is none", hint=_NO_REGISTRY)
        return joined


def same_origin(url: URL, other: URL) -> bool:
    """Whether both are of one server: scheme, host and port."""
    return (url.scheme, url.host, url.port) == (other.scheme, other.host, other.port)


def loses_tls(base: URL, url: URL) -> bool:
    """Whether whoever began at *base* with TLS would go on at *url* without it."""
    return base.scheme == "https" and url.scheme != "https"
