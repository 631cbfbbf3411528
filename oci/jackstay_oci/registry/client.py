"""A registry over HTTP: the distribution API of OCI, version 1.1; implements :class:`.registry.Registry`.

    registry = await connect("docker.io", authorizer, settings)
    try:
        document = await registry.manifest("library/httpd", "2.4")
    finally:
        await registry.close()

Takes its time to import (HTTP's library comes with it): import it where it is used.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

import aiohttp

from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.registry import blob_reading, connecting, listing, manifests, scopes
from jackstay_oci.registry.authorizing import Authorizer
from jackstay_oci.registry.granting import Grants
from jackstay_oci.registry.places import places
from jackstay_oci.registry.registry import Document
from jackstay_oci.registry.retrying import Patience
from jackstay_oci.registry.settings import RegistrySettings
from jackstay_oci.registry.transport import Transport


async def connect(
    registry: str, authorizer: Authorizer, settings: RegistrySettings | None = None, *, patience: Patience | None = None
) -> RegistryClient:
    """A client of *registry* (``docker.io``, ``127.0.0.1:5000``). Nothing is sent before something is asked for.

    Args:
        authorizer: answers the registry's challenges: ``tokens.AnonymousAuthorizer()`` or ``PasswordAuthorizer``.
        settings: mirrors, plain HTTP, folders of certificates; by default none of the first two.
        patience: how long it is waited for.

    Raises:
        InvalidArgument: the settings for this registry are malformed.
    """
    settings, patience = settings or RegistrySettings(), patience or Patience()
    place = places(registry, settings, lambda _: False)[-1]
    session = connecting.session(patience, None)
    transport = Transport(registry, place, session, Grants(registry, place, authorizer), patience)
    return RegistryClient(registry, transport, session, patience)


class RegistryClient:
    """One registry; made by :func:`connect`. Methods as in `Registry`."""

    def __init__(self, registry: str, transport: Transport, session: aiohttp.ClientSession, patience: Patience) -> None:
        self.name = registry
        self._transport = transport
        self._session = session
        self._patience = patience

    async def resolve(self, repository: str, reference: str) -> Descriptor:
        """What the reference names; by HEAD where the registry's answer says enough."""
        reply = await self._transport.send(
            "HEAD",
            f"{repository}/manifests/{reference}",
            what=f"manifest {_shown(repository, reference)}",
            scopes=(scopes.pull(repository),),
            headers={"Accept": manifests.ACCEPT},
            ok=(200, 405),
        )
        described = manifests.described(reply.headers, reference) if reply.status == 200 else None
        return described or (await self.manifest(repository, reference)).descriptor

    async def manifest(self, repository: str, reference: str) -> Document:
        """A manifest or index, checked."""
        what = f"manifest {_shown(repository, reference)}"
        reply = await self._transport.send(
            "GET",
            f"{repository}/manifests/{reference}",
            what=what,
            scopes=(scopes.pull(repository),),
            headers={"Accept": manifests.ACCEPT},
        )
        return manifests.checked(reply.body, reply.headers, reference, f"{what} of {self.name}")

    def read(self, repository: str, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob from *offset*, exactly *length* of them."""
        return blob_reading.read(self._transport, repository, digest, offset, length, self._patience)

    async def has_blob(self, repository: str, digest: Digest) -> bool:
        """Whether the repository has the blob."""
        reply = await self._transport.send(
            "HEAD",
            f"{repository}/blobs/{digest}",
            what=f"blob {digest} of {repository}",
            scopes=(scopes.pull(repository),),
            ok=(200, 404),
        )
        return reply.status == 200

    def tags(self, repository: str) -> AsyncIterator[str]:
        """The tags of a repository, page after page."""
        return listing.tags(self._transport, repository)

    def repositories(self) -> AsyncIterator[str]:
        """The repositories, where the registry offers its catalogue."""
        return listing.repositories(self._transport)

    async def close(self) -> None:
        """Close every connection; twice does nothing."""
        await self._session.close()


def _shown(repository: str, reference: str) -> str:
    return f"{repository}{'@' if ':' in reference else ':'}{reference}"
