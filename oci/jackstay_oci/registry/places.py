"""Where a registry is: the base URLs to ask, in their order. Pure.

- ``docker.io`` is at ``https://registry-1.docker.io``.
- Mirrors come first, in their order, and are only read from; they get ``?ns=<registry>``, as containerd sends it, so
  that one mirror can serve several registries.
- Plain HTTP is spoken to registries on the loopback (127/8, ``::1``, ``localhost``), unless there is a folder of
  certificates for them, and to those that ``plain_http`` names. Nothing is tried with TLS first and without it then:
  whoever can break a connection could take the TLS away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from jackstay_oci.errors import InvalidArgument
from jackstay_oci.reference import DEFAULT_REGISTRY
from jackstay_oci.registry.addresses import is_loopback
from jackstay_oci.registry.settings import RegistrySettings

DOCKER_HUB = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class Place:
    """One server that has the images of a registry."""

    base: str  # "https://registry-1.docker.io/v2/": paths of the API are relative to it
    authority: str  # "registry.example:5000", the name of its folder of certificates
    mirror: bool = False


def places(registry: str, settings: RegistrySettings, has_certificates: Callable[[str], bool]) -> tuple[Place, ...]:
    """Where *registry* can be read, mirrors first; the last is the registry itself, the only one to write to.

    Args:
        has_certificates: whether there is a folder of certificates for a ``host:port``.

    Raises:
        InvalidArgument: a mirror's URL is malformed, or of plain HTTP and neither on the loopback nor named.
    """
    mirrors = tuple(_mirror(registry, url, settings) for url in settings.mirrors.get(registry, ()))
    host = DOCKER_HUB if registry == DEFAULT_REGISTRY else registry
    plain = registry in settings.plain_http or (is_loopback(hostname(registry)) and not has_certificates(registry))
    return (*mirrors, Place(f"{'http' if plain else 'https'}://{host}/v2/", registry))


def hostname(authority: str) -> str:
    """The host of ``host:port``, without the brackets of an IPv6 address."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]


def credential_name(registry: str, base: str) -> str:
    """Under which name credentials for the server at *base* are kept: a mirror never gets those of the registry."""
    authority = urlsplit(base).netloc
    return registry if authority in (registry, DOCKER_HUB if registry == DEFAULT_REGISTRY else registry) else authority


def _mirror(registry: str, url: str, settings: RegistrySettings) -> Place:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidArgument(f"the mirror {url!r} of {registry} is no URL of a registry", hint="https://HOST[:PORT]")
    if "@" in parts.netloc:
        raise InvalidArgument(
            f"the mirror {parts.hostname!r} of {registry} has a password in its URL", hint="use `jackstay login`"
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname) and parts.netloc not in settings.plain_http:
        raise InvalidArgument(
            f"the mirror {url!r} of {registry} is not encrypted",
            hint=f"use https, or put {parts.netloc!r} into plain_http",
        )
    path = parts.path.strip("/")
    if path.split("/")[0] != "v2":
        path = f"{path}/v2".lstrip("/")
    return Place(f"{parts.scheme}://{parts.netloc}/{path}/", parts.netloc, mirror=True)
