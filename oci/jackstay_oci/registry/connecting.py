"""Connections to the servers of one registry, and why one cannot be had, in words.

Cookies are not kept, bodies are not decompressed, redirects are not followed here, and credentials that lie in a
``.netrc`` are not sent: HTTP's library would do all four by itself.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable

import aiohttp
from aiohttp.connector import AddrInfoType as AddrInfo
from yarl import URL

from jackstay_oci.errors import RegistryFailed
from jackstay_oci.registry.retrying import Patience

BROKEN = (aiohttp.ClientError, OSError, TimeoutError)
"""What HTTP's library raises when there is no connection, or no longer one, or no answer on it."""

_BUFFER = 256 << 10
"""Bytes of an answer that are read ahead of whoever takes them; twice as many at most."""


class _Forbidden(OSError):
    """The address is none that may be connected to."""


def session(
    patience: Patience, tls: ssl.SSLContext | None, permits: Callable[[str], bool] | None = None
) -> aiohttp.ClientSession:
    """A new pool of connections. Whoever asked for it closes it.

    Args:
        tls: how certificates are judged; ``None`` where no TLS is spoken.
        permits: whether an address may be connected to; asked with that of every connection, in the moment it is made.
    """

    def guarded(info: AddrInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        if permits is not None and not permits(str(address[0])):
            raise _Forbidden(errno.EACCES, "no address that may be connected to")
        return socket.socket(family, kind, protocol)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=True if tls is None else tls, socket_factory=guarded),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=patience.connect, sock_read=patience.idle),
        headers={"User-Agent": "jackstay", "Accept-Encoding": "identity"},
        auto_decompress=False,
        raise_for_status=False,
        read_bufsize=_BUFFER,
    )


def is_forbidden(error: BaseException) -> bool:
    """Whether the address was none that *permits* of :func:`session` allows."""
    return isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, _Forbidden)


def is_final(error: BaseException) -> bool:
    """Whether the same would happen again: there is no use in another try."""
    final = isinstance(error, aiohttp.ClientSSLError | aiohttp.InvalidURL)
    return final or is_forbidden(error) or _wants_certificate(error)


def unreachable(registry: str, url: URL, what: str, error: BaseException, folder: str = "") -> RegistryFailed:
    """The error that *error* is, which came about while *what* was asked for at *url*.

    Args:
        folder: where certificates for the registry belong.
    """
    folder = folder or f"certs.d/{registry}"
    server = _authority(url)
    where = registry if server == registry else f"{registry} ({server})"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "") or "it cannot be verified"
        return RegistryFailed(
            f"the certificate of {where} is not trusted: {why} ({what})",
            hint=f"put the CA that signed it into {folder}/ca.crt",
        )
    if _wants_certificate(error):
        return RegistryFailed(
            f"{where} wants a client's certificate ({what})",
            hint=f"put one that it takes into {folder}/client.cert, and its key into {folder}/client.key",
        )
    if is_forbidden(error):
        return RegistryFailed(
            f"{registry} names the server {url.host} for {what}, whose address is link-local or this machine's own: "
            "refused",
            hint="ask who runs the registry",
        )
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return RegistryFailed(
            f"the proxy {error.host}:{error.port} cannot be reached, by way of which {where} is asked ({what})",
            hint="check http_proxy, https_proxy and no_proxy in the environment",
        )
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return RegistryFailed(
            f"the proxy refuses to lead to {where}: status {error.status} ({what})",
            hint="check https_proxy, and the name and password in it",
        )
    if isinstance(error, aiohttp.ClientSSLError):
        return RegistryFailed(
            f"{where} does not speak TLS as it should ({what})",
            hint=f"if it is a registry without TLS, put {registry!r} into plain_http of the settings' [registries]",
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return RegistryFailed(f"there is no host {url.host!r} ({what} of {registry})", hint="check the registry's name")
    if isinstance(error, TimeoutError):
        return RegistryFailed(f"{where} does not answer ({what})", hint="check that it runs, and the way to it")
    if isinstance(error, OSError) and error.errno == errno.ECONNREFUSED:
        return RegistryFailed(f"nothing listens at {where} ({what})", hint="check that the registry runs, and its port")
    if isinstance(error, aiohttp.ClientOSError | OSError):
        return RegistryFailed(f"{where} cannot be reached ({what})", hint="check the network and the registry's name")
    return RegistryFailed(f"the connection to {where} broke ({what})", hint="try again; what is here already is kept")


def _wants_certificate(error: BaseException | None) -> bool:
    """Whether the server refuses a connection for want of a client's certificate, or one that it takes."""
    while error is not None:
        reason = str(getattr(error, "reason", "") or "") if isinstance(error, ssl.SSLError) else ""
        if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
            return True
        error = error.__cause__ or error.__context__
    return False


def _authority(url: URL) -> str:
    """``host:port``, without a port that goes without saying."""
    host = url.host_subcomponent or ""
    return host if url.is_default_port() else f"{host}:{url.port}"
