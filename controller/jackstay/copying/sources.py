"""What a copy reads from: images, and ranges of their blobs. Implementations are in sibling files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

PIECE = 1024 * 1024
"""Bytes of one piece that a source yields at most."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob below an image."""

    digest: str
    size: int  # bytes
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class AttachedDocument:
    """What is attached to an image: a signature, a bill of materials."""

    document: Blob  # its manifest
    about: str  # digest of what it is attached to
    kind: str  # "sig" when a tag ``sha256-HEX.sig`` attaches it, empty: its own subject does
    blobs: tuple[Blob, ...]  # that the manifest names


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An image that a source has: its root (manifest or index), and the names it shall get at the destination."""

    root: Blob
    names: tuple[str, ...]  # canonical references, maybe none
    blobs: tuple[Blob, ...]  # the whole closure, the root included
    manifests: tuple[str, ...] = ()  # where the root is an index: digests of its manifests that the source has
    platform: str = ""  # of an index, what the destination unpacks, "os/architecture[/variant]"; empty: its own
    all_platforms: bool = False  # of an index, the destination keeps every one of the manifests
    event: str = "load"  # how the destination's event that tells of it is called: "load", "import", "pull"
    pulled: bool = False  # it is brought in place of a pull, which the destination's policy for its registry may refuse
    attached: tuple[AttachedDocument, ...] = ()  # each after what it is attached to
    warnings: tuple[str, ...] = ()  # of what is attached to it, and the source does not give

    def wanting(self, platform: str = "", *, all_platforms: bool = False) -> SourceImage:
        """The same image, of which the destination is to unpack *platform*, and to keep the others or not."""
        return replace(self, platform=platform, all_platforms=all_platforms)

    def named(self, *names: str) -> SourceImage:
        """The same image with other names."""
        return replace(self, names=names)

    @property
    def everything(self) -> tuple[Blob, ...]:
        """The image's blobs and those of what is attached to it, each once."""
        beside = (blob for one in self.attached for blob in (one.document, *one.blobs))
        return tuple({blob.digest: blob for blob in (self.root, *self.blobs, *beside)}.values())

    def without_strangers(self) -> SourceImage:
        """The same image without what is attached to manifests that are not among its blobs."""
        there, kept = {self.root.digest, *(blob.digest for blob in self.blobs)}, []
        for one in self.attached:
            if one.about in there:
                there.add(one.document.digest)
                kept.append(one)
        return replace(self, attached=tuple(kept))

    @property
    def label(self) -> str:
        """What to call it in output: its first name, else its digest."""
        return self.names[0] if self.names else self.root.digest


class RangeSource(Protocol):
    """Somewhere blobs can be read in any order, by several readers at once."""

    @property
    def name(self) -> str:
        """What errors and progress call it: ``web1``, ``images.tar``."""

    @property
    def via(self) -> str:
        """How its bytes travel: ``relay`` (through this machine, from another host) or ``archive``."""

    async def images(self, wanted: Sequence[str] = (), *, all: bool = False) -> list[SourceImage]:
        """The images named, with the names they have; none named: the only one there is, or with ``all`` every one.

        Raises:
            NotFound: one is not there.
            UsageError: none is named and there are several.
        """

    def read(self, digest: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """A range of a blob of the images given out, in pieces of at most ``PIECE`` bytes.

        Raises:
            NotFound: the blob belongs to no image that was given out.
            Error: the range cannot be read.
        """

    async def close(self) -> None:
        """Give back what is held. Closing twice is allowed."""
