"""The ends of a copy, parsed: ``HOSTS::IMAGE``, archive files, standard streams, Docker, a registry. Pure.

An endpoint is split at its *last* ``::``, so that bracketed IPv6 addresses stay whole:
``root@[2001:db8::1]:22::app:1``.
``str()`` of an endpoint writes what :func:`parse` reads. Whether the hosts or the image exist is left to others.
"""

from __future__ import annotations

from dataclasses import dataclass

from jackstay_oci.errors import InvalidArgument

ARCHIVE_TRANSPORTS = ("docker-archive", "oci-archive", "oci")
SEPARATOR = "::"
_DAEMON = "docker-daemon:"
_REGISTRY = "docker://"


@dataclass(frozen=True, slots=True)
class HostsEndpoint:
    """Hosts of the fleet; without an image it stands for "the same name" (destination) or "as selected" (source)."""

    hosts: str
    image: str | None = None

    def __str__(self) -> str:
        return f"{self.hosts}{SEPARATOR}{self.image or ''}"


@dataclass(frozen=True, slots=True)
class HostsDaemonEndpoint:
    """The Docker that runs on hosts of the fleet."""

    hosts: str
    image: str

    def __str__(self) -> str:
        return f"{self.hosts}{SEPARATOR}{_DAEMON}{self.image}"


@dataclass(frozen=True, slots=True)
class ArchiveEndpoint:
    """A file (``docker-archive``, ``oci-archive``) or a folder (``oci``) on this machine."""

    transport: str
    path: str

    def __str__(self) -> str:
        return f"{self.transport}:{self.path}"


@dataclass(frozen=True, slots=True)
class StreamEndpoint:
    """Standard input as a source, standard output as a destination."""

    def __str__(self) -> str:
        return "-"


@dataclass(frozen=True, slots=True)
class DaemonEndpoint:
    """The Docker on this machine."""

    image: str

    def __str__(self) -> str:
        return f"{_DAEMON}{self.image}"


@dataclass(frozen=True, slots=True)
class RegistryEndpoint:
    """A registry: ``docker://REGISTRY/REPOSITORY:TAG``."""

    reference: str

    def __str__(self) -> str:
        return f"{_REGISTRY}{self.reference}"


Endpoint = HostsEndpoint | HostsDaemonEndpoint | ArchiveEndpoint | StreamEndpoint | DaemonEndpoint | RegistryEndpoint


def parse(text: str) -> Endpoint:
    """The endpoint that ``text`` writes.

    Raises:
        InvalidArgument: it is of no known form, or lacks its hosts, image or file.
    """
    if text == "-":
        return StreamEndpoint()
    if text.startswith(_REGISTRY):
        return RegistryEndpoint(_required(text, text.removeprefix(_REGISTRY), "an image reference"))
    transport, colon, rest = text.partition(":")
    # `oci::app` is the host named oci, so a second colon ends the transport's claim.
    if colon and not rest.startswith(":"):
        if transport in ARCHIVE_TRANSPORTS:
            return ArchiveEndpoint(transport, _required(text, rest, "a file"))
        if transport == "docker-daemon":
            return DaemonEndpoint(_required(text, rest, "an image"))
    return _parse_hosts(text)


def _parse_hosts(text: str) -> Endpoint:
    hosts, separator, image = text.rpartition(SEPARATOR)
    if not separator or _inside_brackets(hosts, image):
        raise InvalidArgument(
            f"endpoint {text!r}: not HOSTS::IMAGE, docker-archive:FILE, oci-archive:FILE, oci:DIR or -",
            hint=f"a host is written with two colons: {text + SEPARATOR!r}"
            if text
            else "name a source and destinations",
        )
    # A run of colons such as `web1:::app` would leave one behind on the hosts' side.
    if not hosts or hosts.endswith(":"):
        raise InvalidArgument(f"endpoint {text!r}: no hosts before '::'", hint="for this machine write 'local::'")
    if image.startswith(_DAEMON):
        return HostsDaemonEndpoint(hosts, _required(text, image.removeprefix(_DAEMON), "an image"))
    return HostsEndpoint(hosts, image or None)


def _inside_brackets(before: str, after: str) -> bool:
    """Whether the separator stands inside ``[…]``, where it is part of an IPv6 address."""
    return before.count("[") > before.count("]") and "]" in after


def _required(text: str, part: str, what: str) -> str:
    if not part:
        raise InvalidArgument(f"endpoint {text!r}: {what} is missing")
    return part
