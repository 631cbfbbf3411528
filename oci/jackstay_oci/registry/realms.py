"""Which token servers may be asked: a registry names them, and could name any. Pure.

A realm must be ``https``, unless the registry itself is spoken to without TLS; it bears no password; and unless it is
on the registry's own host, its address is a public one. (No redirect of a token server is followed either.)
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from jackstay_oci.errors import RegistryFailed
from jackstay_oci.registry.addresses import is_public


@dataclass(frozen=True, slots=True)
class Realm:
    """A token server that may be asked."""

    url: str
    authority: str  # "auth.example:5001"
    host: str
    own: bool  # on the registry's host: any address will do

    def permits(self, address: str) -> bool:
        """Whether a connection to *address* is allowed."""
        return self.own or is_public(address)


def realm(registry: str, base: str, url: str) -> Realm:
    """The token server that *registry*, spoken to at *base*, names.

    Raises:
        RegistryFailed: it may not be asked.
    """
    at = urlsplit(base)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise refused(registry, "it is no URL") from None
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable():
        raise refused(registry, "it is no URL of HTTP")
    if parts.scheme != "https" and at.scheme == "https":
        raise refused(registry, f"{host} would be asked without TLS")
    if "@" in parts.netloc:
        raise refused(registry, "its URL has a password in it")
    found = Realm(_without_fragment(parts), parts.netloc, host, own=host == at.hostname)
    if _is_numeric(host) and not found.permits(host):
        raise refused(registry, f"{host} is no public address")
    return found


def refused(registry: str, why: str) -> RegistryFailed:
    """The error of a token server that may not be asked."""
    return RegistryFailed(
        f"{registry} names a token server that may not be asked: {why}",
        hint="ask who runs the registry; nothing was sent",
    )


def _is_numeric(host: str) -> bool:
    """Whether the host can be nothing but an address, however oddly it is written: such do not come from a resolver."""
    return ":" in host or host.rpartition(".")[2].isdigit() or host.lower().startswith("0x")


def _without_fragment(parts: SplitResult) -> str:
    return parts._replace(fragment="").geturl()
