"""How registries are reached: mirrors, certificates, plain HTTP. Values only; read from the ``[registries]`` table of a
configuration file."""

from __future__ import annotations

from msgspec import Struct


class RegistrySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What holds for every registry, or for the one a key names (``docker.io``, ``registry.example:5000``)."""

    mirrors: dict[str, tuple[str, ...]] = {}
    """For a registry, base URLs to ask before it, in their order: ``https://mirror.example``, or with a path below
    which the repositories lie: ``https://mirror.example/v2/hub``."""
    plain_http: tuple[str, ...] = ()
    """Registries that are spoken to without TLS. Those on the loopback need not be named."""
    certs: tuple[str, ...] = ("/etc/jackstay/certs.d", "/etc/docker/certs.d", "/etc/containers/certs.d")
    """Folders in docker's layout, ``<host:port>/{*.crt, NAME.cert, NAME.key}``: trusted CAs and client certificates.
    The first that has a folder for the registry counts."""
