"""A registry over HTTP: the distribution API of OCI, version 1.1; implements :class:`.registry.Registry`.

    registry = await connect("docker.io", authorizer, settings)
    try:
        document = await registry.manifest("library/httpd", "2.4")
    finally:
        await registry.close()

Takes its time to import (HTTP's library comes with it): import it where it is used.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.errors import NotFound
from jackstay_oci.registry import blob_reading, certificates, deleting, listing, manifests, referring, scopes, uploading
from jackstay_oci.registry.answers import Answers
from jackstay_oci.registry.authorizing import Authorizer
from jackstay_oci.registry.connections import Connections, open_connections
from jackstay_oci.registry.falling_over import Servers
from jackstay_oci.registry.granting import Grants
from jackstay_oci.registry.places import Place, places
from jackstay_oci.registry.registry import BlobReader, Document
from jackstay_oci.registry.retrying import Patience
from jackstay_oci.registry.settings import RegistrySettings
from jackstay_oci.registry.transport import Transport


async def connect(
    registry: str,
    authorizer: Authorizer,
    settings: RegistrySettings | None = None,
    *,
    patience: Patience | None = None,
    environ: Mapping[str, str] | None = None,
) -> RegistryClient:
    """A client of *registry* (``docker.io``, ``127.0.0.1:5000``). Nothing is sent before something is asked for.

    Args:
        authorizer: answers the registry's challenges: a ``tokens.AnonymousAuthorizer`` or ``PasswordAuthorizer``.
        settings: mirrors, plain HTTP, folders of certificates; by default none of the first two.
        patience: how long it is waited for.
        environ: where proxies are named; by default this process's environment.

    Raises:
        InvalidArgument: the settings for this registry are malformed.
        RegistryFailed: a certificate for it is.
    """
    settings, patience = settings or RegistrySettings(), patience or Patience()
    environ = os.environ if environ is None else environ
    found = await asyncio.to_thread(_places, registry, settings)
    opened: list[Connections] = []
    transports: list[Transport] = []
    try:
        for place in found:
            waited = patience.for_mirror() if place.mirror else patience
            opened.append(await open_connections(place, settings.certs, waited, environ))
            transports.append(Transport(registry, place, opened[-1], Grants(registry, place, authorizer), waited))
    except BaseException:
        for each in opened:
            await each.close()
        raise
    return RegistryClient(registry, transports, opened, patience)


def _places(registry: str, settings: RegistrySettings) -> tuple[Place, ...]:
    return places(registry, settings, lambda name: certificates.folder(settings.certs, name) is not None)


class RegistryClient:
    """One registry; made by :func:`connect`. Methods as in `Registry`; mirrors are read from first."""

    def __init__(
        self, registry: str, transports: Sequence[Transport], opened: Sequence[Connections], patience: Patience
    ) -> None:
        self.name = registry
        self._servers = Servers(transports)
        self._own = transports[-1]
        self._opened = opened
        self._patience = patience
        self._answers = Answers()

    async def check(self) -> None:
        """Ask whether it is a registry that takes who we are, for no repository in particular."""
        await self._own.send("GET", "", what="a login")

    async def resolve(self, repository: str, reference: str) -> Descriptor:
        """What the reference names; by HEAD where the registry's answer says enough."""
        return await self._servers.first(lambda server: manifests.resolve(server, repository, reference))

    async def manifest(self, repository: str, reference: str) -> Document:
        """A manifest or index, checked."""
        return await self._servers.first(lambda server: manifests.manifest(server, repository, reference))

    def read(self, repository: str, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob from *offset*, exactly *length* of them."""
        return self._servers.stream(
            digest,
            lambda server, start: blob_reading.read(
                server, repository, digest, start, offset + length - start, self._answers
            ),
            offset,
        )

    def distrust(self, digest: Digest) -> bool:
        """Leave the mirrors out that gave wrong bytes of the blob; whether there are any."""
        return self._servers.distrust(digest)

    async def has_blob(self, repository: str, digest: Digest) -> bool:
        """Whether the repository has the blob; the registry itself is asked, since it is what is written to."""
        reply = await self._own.send(
            "HEAD",
            f"{repository}/blobs/{digest}",
            what=f"blob {digest} of {repository}",
            scopes=(scopes.pull(repository),),
            ok=(200, 404),
        )
        return reply.status == 200

    async def mount(self, repository: str, digest: Digest, source: str) -> bool:
        """Make a blob of the repository *source* one of *repository* too."""
        return await uploading.mount(self._own, repository, digest, source)

    async def upload(self, repository: str, blob: Descriptor, reader: BlobReader) -> None:
        """Put a blob there."""
        await uploading.upload(self._own, repository, blob, reader, patience=self._patience)

    async def put_manifest(self, repository: str, reference: str, document: Document) -> bool:
        """Put a manifest or index there; whether it is listed among the referrers of its subject."""
        return await manifests.put(self._own, repository, reference, document)

    def tags(self, repository: str) -> AsyncIterator[str]:
        """The tags of a repository, page after page."""
        return listing.tags(self._own, repository)

    def repositories(self) -> AsyncIterator[str]:
        """The repositories, where the registry offers its catalogue."""
        return listing.repositories(self._own)

    async def referrers(self, repository: str, digest: Digest) -> list[Descriptor]:
        """What refers to the manifest *digest*. A mirror may have the image, and know nothing of that."""

        async def ask(server: Transport) -> list[Descriptor]:
            if not (found := await referring.referrers(server, repository, digest)):
                raise NotFound(f"{self.name} has nothing that refers to {repository}@{digest}")
            return found

        try:
            return await self._servers.first(ask, forgiving=True)
        except NotFound:
            return []

    async def delete(self, repository: str, reference: str) -> None:
        """Delete a tag or a manifest."""
        await deleting.delete(self._own, repository, reference)

    async def close(self) -> None:
        """Close every connection; twice does nothing."""
        self._answers.close()
        for opened in self._opened:
            await opened.close()
