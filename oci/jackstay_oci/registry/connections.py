"""The connections of one server of a registry: to itself, and to the storages that it redirects to."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
from yarl import URL

from jackstay_oci.errors import RegistryFailed
from jackstay_oci.registry import addresses, certificates, connecting, proxies
from jackstay_oci.registry.places import Place
from jackstay_oci.registry.retrying import Patience


class Connections:
    """Made by :func:`connections`, closed by whoever has it."""

    def __init__(
        self, own: aiohttp.ClientSession, elsewhere: aiohttp.ClientSession, environ: Mapping[str, str], certs: str
    ) -> None:
        self._own = own
        self._elsewhere = elsewhere
        self._environ = environ
        self._certs = certs

    def unreachable(self, registry: str, url: URL, what: str, error: BaseException) -> RegistryFailed:
        """The error that one of `connecting.BROKEN` is, which came about while *what* was asked for at *url*."""
        return connecting.unreachable(registry, url, what, error, self._certs)

    async def request(
        self,
        method: str,
        url: URL,
        *,
        own: bool,
        headers: Mapping[str, str],
        data: object,
    ) -> aiohttp.ClientResponse:
        """One request, redirects not followed.

        Args:
            own: it goes to the server itself; else an address that it named, which is not connected to when it is
                link-local or this machine's.

        Raises:
            RegistryFailed: the environment names an odd proxy.
            connecting.BROKEN: what HTTP's library meets with.
        """
        session = self._own if own else self._elsewhere
        proxy = proxies.proxy(str(url), self._environ)
        return await session.request(method, url, headers=headers, data=data, allow_redirects=False, proxy=proxy)

    async def close(self) -> None:
        """Close them all; twice does nothing."""
        await self._own.close()
        await self._elsewhere.close()


def connections(
    place: Place, tls: certificates.Contexts, patience: Patience, environ: Mapping[str, str], certs: str
) -> Connections:
    """Connections to *place*, and to other servers by the system's CAs and those of *place*."""
    host = URL(place.base).host or ""
    # A registry on this machine may have its storage here, too.
    permits = None if addresses.is_loopback(host) else addresses.is_neighbourly
    return Connections(
        connecting.session(patience, tls.own),
        connecting.session(patience, tls.elsewhere, permits),
        environ,
        certs,
    )
