"""An agent as a source: the bytes are relayed through this machine, read by ``Content.Read``.

Only blobs of images that were resolved here can be read, so a destination cannot use the relay to look at other images
of the source's host. Holds no bytes beyond the piece that is under way to each reader.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import TYPE_CHECKING

from jackstay.client import messages
from jackstay.copying.sources import AttachedDocument, Blob, SourceImage
from jackstay.errors import AgentError, NotFound, UsageError
from jackstay_oci.documents import MAX_DOCUMENT, parse_manifest
from jackstay_oci.media_types import is_index
from jackstay_oci.reference import Reference

if TYPE_CHECKING:
    from jackstay.client import AgentClient


class HostSource:
    """Images of one host; owns the connection."""

    via = "relay"

    def __init__(self, agent: AgentClient) -> None:
        self._agent = agent
        self._readable: set[str] = set()
        self._held: list[AsyncGenerator[messages.ResolveReply, None]] = []

    @property
    def name(self) -> str:
        """The host's name."""
        return self._agent.host.name

    async def images(self, wanted: Sequence[str] = (), *, all: bool = False) -> list[SourceImage]:
        """Resolve the images on the host; each stays there until the source is closed.

        Raises:
            NotFound: one is not there.
            UsageError: none is named, and not ``all``.
        """
        names = list(wanted) or (await self._all() if all else [])
        if not names and not all:
            raise UsageError(f"{self.name}:: names no image", hint=f"write {self.name}::IMAGE, or --image, or --all")
        return [await self._resolve(name) for name in names]

    async def _all(self) -> list[str]:
        reply = await self._agent.images.list(messages.ListImagesRequest())
        return [
            f"{image.repository}:{image.tag}" for image in reply.images if "<none>" not in (image.repository, image.tag)
        ]

    async def _resolve(self, name: str) -> SourceImage:
        held = self._agent.content.resolve(messages.ResolveRequest(image=name))
        self._held.append(held)
        try:
            reply = await anext(held)
        except AgentError as error:
            raise self._named(error) from error
        blobs = tuple(_blob(blob) for blob in reply.blobs)
        self._readable.update(blob.digest for blob in blobs)
        root = _blob(reply.root)
        self._readable.add(root.digest)
        manifests = await self._manifests(root, blobs) if is_index(root.media_type) else ()
        names = (reply.name,) if reply.name else ()
        attached = tuple(_attached(one) for one in reply.attached)
        image = SourceImage(root, names, blobs, manifests, event="pull", attached=attached)
        self._readable.update(blob.digest for blob in image.everything)
        return image

    async def _manifests(self, root: Blob, blobs: tuple[Blob, ...]) -> tuple[str, ...]:
        """The manifests of the index *root* that are there."""
        if root.size > MAX_DOCUMENT:
            raise AgentError("INVALID_DOCUMENT", f"{self.name} has an index of {root.size} bytes")
        raw = b"".join([data async for data in self.read(root.digest, 0, root.size)])
        index = parse_manifest(raw, root.media_type)
        held = {blob.digest for blob in blobs}
        return tuple(str(one.digest) for one in getattr(index, "manifests", ()) if one.digest in held)

    async def read(self, digest: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """A range of a blob of an image that :meth:`images` gave out.

        Raises:
            NotFound: it belongs to none of them.
        """
        if digest not in self._readable:
            raise NotFound(f"{digest} belongs to no image that is being copied from {self.name}")
        if length == 0:  # which Content.Read takes as "to the end"
            return
        request = messages.ReadRequest(digest=digest, offset=offset, length=length)
        try:
            async for reply in self._agent.content.read(request):
                yield reply.data
        except AgentError as error:
            raise self._named(error) from error

    async def save(self, images: Sequence[SourceImage], format: str, platform: str) -> AsyncIterator[memoryview]:
        """Pieces of an archive of images that :meth:`images` gave out, made on the host."""
        names = [name for image in images for name in image.names or (image.root.digest,)]
        request = messages.SaveRequest(images=names, format=format, platform=platform)
        try:
            async for piece in self._agent.images.save(request):
                yield piece
        except AgentError as error:
            raise self._named(error) from error

    def _named(self, error: AgentError) -> AgentError:
        """The error as one of this host: in a copy several hosts could have said it."""
        return AgentError(error.reason, f"{self.name}: {error.message}", error.hint)

    async def close(self) -> None:
        """Let the images go and close the connection."""
        for held in self._held:
            await held.aclose()
        self._held.clear()
        await self._agent.close()


def _attached(one: messages.Attached) -> AttachedDocument:
    return AttachedDocument(_blob(one.document), one.about, one.kind, tuple(_blob(blob) for blob in one.blobs))


def _blob(one: messages.Descriptor) -> Blob:
    return Blob(one.digest, one.size, one.media_type)


def canonical(name: str) -> str:
    """A name in full, ``latest`` filled in: what an image is stored under.

    Raises:
        InvalidReference: it is malformed.
    """
    return str(Reference.parse(name).with_default_tag())
