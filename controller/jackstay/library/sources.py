"""Opens a copy's source from its endpoint: the place where endpoints, hosts and connections meet."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jackstay.client import connect
from jackstay.copying.endpoints import (
    ArchiveEndpoint,
    DaemonEndpoint,
    Endpoint,
    HostsDaemonEndpoint,
    HostsEndpoint,
    RegistryEndpoint,
    StreamEndpoint,
    parse,
)
from jackstay.errors import Error, InvalidArgument, UsageError
from jackstay.tunnel.settings import TunnelSettings
from jackstay_oci import platforms
from jackstay_oci.reference import Reference

if TYPE_CHECKING:
    from jackstay.copying.sources import RangeSource
    from jackstay.library.fleet import Fleet


class Unsupported(Error):
    """Recognised, and not possible in this version."""

    reason = "UNSUPPORTED"


def parse_endpoint(text: str) -> Endpoint:
    """:func:`jackstay.copying.endpoints.parse`, its errors being the user's.

    Raises:
        UsageError, InvalidReference: it is malformed.
        Unsupported: it is of a kind that comes later.
    """
    try:
        endpoint = parse(text)
    except InvalidArgument as error:
        raise UsageError(error.message, hint=error.hint) from error
    if isinstance(endpoint, DaemonEndpoint | HostsDaemonEndpoint):
        raise Unsupported(
            f"{text}: copying from and to Docker comes later", hint="use docker save and docker-archive:FILE"
        )
    if isinstance(endpoint, RegistryEndpoint):
        Reference.parse(endpoint.reference)
    return endpoint


async def open_source(fleet: Fleet, text: str, platform: str = "") -> tuple[RangeSource, list[str]]:
    """The source, which the caller closes, and the images that the endpoint itself names.

    A registry is asked only for what is for ``platform``, where one is given.
    """
    endpoint = parse_endpoint(text)
    if isinstance(endpoint, RegistryEndpoint):
        from jackstay.copying.registry_source import RegistrySource
        from jackstay.library.registries import open_registry

        wanted = platforms.parse(platform) if platform else None
        registry = await open_registry(Reference.parse(endpoint.reference).registry, os.environ)
        return RegistrySource(registry, wanted), [endpoint.reference]
    if isinstance(endpoint, HostsEndpoint):
        from jackstay.copying.host_source import HostSource

        hosts = fleet.select(endpoint.hosts)
        if len(hosts) != 1:
            raise UsageError(f"{text}: a source is one host, {endpoint.hosts} are {len(hosts)}")
        host = hosts.hosts[0]
        connector = fleet.connector
        settings = TunnelSettings(connect_timeout=fleet.options.connect_timeout, accept_new=fleet.options.accept_new)
        agent = await (connector(host) if connector else connect(host, settings))
        return HostSource(agent), [endpoint.image] if endpoint.image else []
    from jackstay.copying.archive_source import ArchiveSource

    if isinstance(endpoint, StreamEndpoint):
        return await ArchiveSource.open(0, "standard input", os.environ), []
    assert isinstance(endpoint, ArchiveEndpoint)
    return await ArchiveSource.open(endpoint.path, endpoint.path, os.environ), []
