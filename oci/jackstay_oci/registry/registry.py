"""One registry as a protocol: what pulling, pushing and listing need. ``client`` speaks HTTP; tests have one in memory.

Everything that a registry gives is untrusted: who reads blobs hashes them; manifests are checked here, by their digest.
Repositories are written as the registry knows them, ``library/app``; a *reference* is a tag or a digest.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or index as it came: its digest, size and media type are verified, what it says is not."""

    descriptor: Descriptor
    data: bytes


class BlobReader(Protocol):
    """Gives the bytes of a blob again and again, from any offset: an upload that broke off goes on."""

    def read(self, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes | bytearray | memoryview, None]:
        """The bytes of *digest* from *offset*, exactly *length* of them, in pieces of at most 1 MiB."""
        ...


class Registry(Protocol):
    """One registry. Every method raises the errors of the last paragraph.

    Raises:
        NotFound: there is no such repository, manifest or blob.
        Unauthorized: the registry wants other credentials, or grants this caller nothing.
        RateLimited: it was asked too often, and goes on saying so.
        RegistryFailed: it cannot be reached, is not trusted (TLS), or answers what no registry may answer. Messages
            name the registry, the repository and what to do.
    """

    name: str  # as in references: "docker.io"

    async def resolve(self, repository: str, reference: str) -> Descriptor:
        """What the reference names, without its bytes where the registry can say that."""
        ...

    async def manifest(self, repository: str, reference: str) -> Document:
        """A manifest or index. Raises `DigestMismatch` when it is not what its digest says, `LimitExceeded` when it has
        more than 4 MiB, `InvalidDocument` when it is of no known media type."""
        ...

    def read(self, repository: str, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob from *offset*, exactly *length* of them, in pieces of at most 1 MiB.

        A connection that breaks is made anew, and goes on where it broke. A registry that ignores ranges gives the
        bytes before *offset* too, which are thrown away; what is read next of the blob, and lies behind, is taken from
        the same answer, by one reader after the other.
        """
        ...

    def distrust(self, digest: Digest) -> bool:
        """What was read of the blob proved wrong: the mirrors that it came from are left out from now on; whether there
        are any, so that another try may bring other bytes."""
        ...

    async def has_blob(self, repository: str, digest: Digest) -> bool:
        """Whether the repository has the blob."""
        ...

    async def mount(self, repository: str, digest: Digest, source: str) -> bool:
        """Make a blob of the repository *source* one of *repository* too; false where the registry does not do so."""
        ...

    async def upload(self, repository: str, blob: Descriptor, reader: BlobReader) -> None:
        """Put a blob there; goes on with what the registry has when a connection breaks."""
        ...

    async def put_manifest(self, repository: str, reference: str, document: Document) -> bool:
        """Put a manifest or index there, under a tag or its digest. Everything that it names must be there.

        Whether the registry says that it lists it among the referrers of its subject.
        """
        ...

    def tags(self, repository: str) -> AsyncIterator[str]:
        """The tags of a repository, page after page, in the registry's order."""
        ...

    def repositories(self) -> AsyncIterator[str]:
        """The repositories, where the registry offers its catalogue."""
        ...

    async def referrers(self, repository: str, digest: Digest) -> list[Descriptor]:
        """What refers to the manifest *digest*, or the first 1000 of that: by the referrers API, else by the tag
        ``sha256-<hex>``."""
        ...

    async def delete(self, repository: str, reference: str) -> None:
        """Delete a tag or a manifest."""
        ...

    async def close(self) -> None:
        """Close every connection. Closing twice is allowed."""
        ...
