"""The connections of one server of a registry: to itself, and to the storages that it redirects to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence

import aiohttp
from yarl import URL

from jackstay_oci.errors import RegistryFailed
from jackstay_oci.registry import addresses, certificates, connecting, proxies
from jackstay_oci.registry.places import Place
from jackstay_oci.registry.retrying import Patience


class Connections:
    """Made by :func:`open_connections`, closed by whoever has it."""

    def __init__(
        self,
        place: Place,
        own: aiohttp.ClientSession,
        certs: Sequence[str],
        patience: Patience,
        environ: Mapping[str, str],
    ) -> None:
        self._place = place
        self._own = own
        self._certs = certs
        self._patience = patience
        self._environ = environ
        self._elsewhere: aiohttp.ClientSession | None = None  # made when it is needed: reading CAs takes a while
        self._making = asyncio.Lock()

    async def request(
        self, method: str, url: URL, *, own: bool, headers: Mapping[str, str], data: object
    ) -> aiohttp.ClientResponse:
        """One request, redirects not followed.

        Args:
            own: it goes to the server itself; else to an address that it named, which is not connected to when it is
                link-local or this machine's, and is not shown a client's certificate.

        Raises:
            RegistryFailed: the environment names an odd proxy, or a certificate is malformed.
            connecting.BROKEN: what HTTP's library meets with.
        """
        session = self._own if own else await self._others()
        proxy = proxies.proxy(str(url), self._environ)
        return await session.request(method, url, headers=headers, data=data, allow_redirects=False, proxy=proxy)

    def unreachable(self, registry: str, url: URL, what: str, error: BaseException) -> RegistryFailed:
        """The error that one of `connecting.BROKEN` is, which came about while *what* was asked for at *url*."""
        folder = f"{next(iter(self._certs), 'certs.d')}/{self._place.authority}"
        return connecting.unreachable(registry, url, what, error, folder)

    async def close(self) -> None:
        """Close them all; twice does nothing."""
        await self._own.close()
        if self._elsewhere is not None:
            await self._elsewhere.close()

    async def _others(self) -> aiohttp.ClientSession:
        async with self._making:
            if self._elsewhere is None:
                tls = await asyncio.to_thread(_tls, self._place, self._certs, client=False)
                # A registry on this machine may have its storage here, too.
                permits = None if is_here(URL(self._place.base).host or "") else addresses.is_neighbourly
                self._elsewhere = connecting.session(self._patience, tls, permits)
            return self._elsewhere


async def open_connections(
    place: Place, certs: Sequence[str], patience: Patience, environ: Mapping[str, str]
) -> Connections:
    """Connections to *place*, none of which is made yet. Raises `RegistryFailed` when a certificate is malformed."""
    tls = None
    if place.base.startswith("https:"):
        tls = await asyncio.to_thread(_tls, place, certs, client=True)
    return Connections(place, connecting.session(patience, tls), certs, patience, environ)


def _tls(place: Place, certs: Sequence[str], *, client: bool) -> ssl.SSLContext:
    return certificates.context(certificates.folder(certs, place.authority), client=client)


def is_here(host: str) -> bool:
    """Whether a registry runs on this machine."""
    return addresses.is_loopback(host)
