"""The images of an archive, as values, and where their blobs lie while an archive is being understood."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from io import BytesIO

from jackstay_oci.archives.files import Files, read_document
from jackstay_oci.digest import Digest, verify
from jackstay_oci.documents import Descriptor, Platform
from jackstay_oci.errors import InvalidArchive, NotFound
from jackstay_oci.reading import BlobReader, Region


@dataclass(frozen=True, slots=True)
class ArchiveImage:
    """An image in an archive.

    Attributes:
        names: in full, with tags; none for an image saved by its id.
        manifest: of the manifest, or of the index when the image is for several platforms.
        config_digest: the image id: the config's digest; of an index, that of the image which fits this machine best.
        platform: of that image.
    """

    names: tuple[str, ...]
    manifest: Descriptor
    config_digest: Digest
    platform: Platform | None


@dataclass(slots=True)
class Blobs:
    """Blobs by digest: files of the archive, and documents that were made for it."""

    files: Files
    made: dict[Digest, bytes] = field(default_factory=dict)
    elsewhere: dict[Digest, str] = field(default_factory=dict)
    """File names of blobs that do not lie under ``blobs/sha256``."""

    def region(self, digest: Digest) -> Region:
        """The file that has the blob, to be closed by the caller; ``NotFound`` when none has."""
        try:
            return self.files.region(self._file_name(digest))
        except NotFound:
            raise NotFound(f"no blob {digest}") from None

    def open(self, digest: Digest) -> BlobReader:
        """The blob from its beginning; ``NotFound``."""
        if (made := self.made.get(digest)) is not None:
            return BytesIO(made)
        return self.region(digest)

    def size(self, digest: Digest) -> int:
        """Bytes of the blob; ``NotFound``."""
        if (made := self.made.get(digest)) is not None:
            return len(made)
        with closing(self.region(digest)) as region:
            return region.length

    def has(self, digest: Digest) -> bool:
        """Whether the blob is there."""
        try:
            self.size(digest)
        except NotFound:
            return False
        return True

    def document(self, digest: Digest) -> bytes:
        """A manifest, index or config, verified.

        Raises:
            NotFound: it is not there.
            DigestMismatch: it is not what its digest says.
        """
        if (made := self.made.get(digest)) is not None:
            return made
        name = self._file_name(digest)
        try:
            raw = read_document(self.files, name)
        except NotFound:
            raise NotFound(f"no blob {digest}") from None
        verify(raw, digest, what=f"blob {name}")
        return raw

    def _file_name(self, digest: Digest) -> str:
        return self.elsewhere.get(digest) or f"blobs/sha256/{Digest.parse(digest).hex}"

    def require(self, descriptors: Iterable[Descriptor]) -> None:
        """Check that the blobs are there with the sizes that their descriptors say.

        Raises:
            InvalidArchive: one is not. Layers with ``urls`` may be missing: they are not distributed.
        """
        for descriptor in descriptors:
            try:
                size = self.size(descriptor.digest)
            except NotFound:
                if descriptor.urls:
                    continue
                raise InvalidArchive(f"it lacks blob {descriptor.digest}", hint="save the image again") from None
            if size != descriptor.size:
                raise InvalidArchive(f"blob {descriptor.digest} has {size} bytes, expected {descriptor.size}")
