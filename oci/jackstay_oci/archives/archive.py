"""Opens an archive of images, whatever its form, and gives its images and blobs.

Where both ``index.json`` and ``manifest.json`` are there (Docker ≥ 25), the index decides the manifests, so that their
digests survive, and both give names. An image that only ``manifest.json`` lists gets a manifest made for it.

Guarantees that documents are verified when the archive opens and that every layer is there with the size promised.
Layers are not read: whoever stores a blob hashes it. Every error names the archive.
"""

from __future__ import annotations

import os
import stat
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from jackstay_oci.archives.classic import classic_image, config_digest, saved_images
from jackstay_oci.archives.files import Files, FolderFiles, TarFiles, read_document
from jackstay_oci.archives.images import ArchiveImage, Blobs
from jackstay_oci.archives.naming import errors_naming
from jackstay_oci.archives.oci_index import configs_of, index_images
from jackstay_oci.archives.oci_layout import check_layout
from jackstay_oci.archives.spool import spool
from jackstay_oci.compression import HEAD, detect
from jackstay_oci.digest import Digest
from jackstay_oci.errors import InvalidArchive, LimitExceeded, NotFound
from jackstay_oci.limits import DEFAULT_LIMITS, Limits
from jackstay_oci.reading import BinaryReader, BlobReader, DescriptorReader, read_exactly


@dataclass(frozen=True, slots=True)
class BlobLocation:
    """A blob of an archive: its size in bytes."""

    size: int


class Archive:
    """An archive that is open. Reading is safe from several threads; blobs cannot be read after it is closed."""

    def __init__(self, name: str, files: Files, limits: Limits = DEFAULT_LIMITS) -> None:
        self.name = name
        self._files = files
        self._blobs = Blobs(files)
        with errors_naming(name):
            self.images = tuple(_images(self._blobs, limits))

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a spooled copy is gone."""
        self._files.close()

    def has(self, digest: Digest) -> bool:
        """Whether the blob is in the archive or was made for it."""
        return self._blobs.has(digest)

    def blob(self, digest: Digest) -> BlobLocation:
        """What is known of the blob.

        Raises:
            NotFound: it is not there.
        """
        return BlobLocation(self.size(digest))

    def size(self, digest: Digest) -> int:
        """Bytes of the blob.

        Raises:
            NotFound: it is not there.
        """
        with errors_naming(self.name):
            return self._blobs.size(digest)

    def read(self, digest: Digest, offset: int, length: int) -> bytes:
        """The bytes ``[offset, offset + length)`` of the blob, fewer at its end.

        Raises:
            NotFound: it is not there.
            InvalidArchive: the file was cut meanwhile.
        """
        with errors_naming(self.name):
            if (made := self._blobs.made.get(digest)) is not None:
                return made[offset : offset + length]
            with closing(self._blobs.region(digest)) as region:
                region.position = min(offset, region.length)
                return read_exactly(region, length)

    def open_blob(self, digest: Digest) -> BlobReader:
        """The blob from its beginning, to be closed: a ``Region`` of the file, which ``TarReader`` reads fast.

        Raises:
            NotFound: it is not there.
        """
        with errors_naming(self.name):
            return self._blobs.open(digest)


def open_archive(
    source: Path | str | int | BinaryReader,
    *,
    spool_dir: Path | str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    name: str | None = None,
) -> Archive:
    """Open docker-archives and OCI archives, plain or compressed with gzip, zstd, xz or bzip2, and OCI folders.

    Args:
        source: a path, a descriptor (the caller's, read from where it stands), or anything with ``read(n)``.
        spool_dir: where an archive that is compressed, or cannot be read at any place, is written out, in a file
            without a name; the system's folder for temporary files when not given.
        limits: bounds.
        name: how errors call the archive; its path when not given.

    Raises:
        NotFound: the path does not exist.
        InvalidArchive: it is no archive of images, truncated, or contradicts itself.
        InvalidDocument: a manifest, index or config is malformed.
        DigestMismatch: a manifest, index or config is not what its digest says.
        LimitExceeded: it passes a bound.
        DiskFull: no space is left in ``spool_dir``.
    """
    folder = None if spool_dir is None else Path(spool_dir)
    if isinstance(source, (str, Path)):
        name = name or str(source)
        if Path(source).is_dir():
            return open_layout(source, name=name, limits=limits)
        fd = _open_path(source, name)
        try:
            return _open_descriptor(fd, folder, limits, name)
        finally:
            os.close(fd)
    if isinstance(source, int):
        return _open_descriptor(source, folder, limits, name or "the archive")
    name = name or "the archive"
    with errors_naming(name):
        files = TarFiles(spool(source, folder, limits), limits)
    return _archive(name, files, limits)


def open_layout(folder: Path | str, *, name: str | None = None, limits: Limits = DEFAULT_LIMITS) -> Archive:
    """Open an OCI folder (``oci:DIR``).

    Raises:
        NotFound: it does not exist.
        InvalidArchive: it is no OCI layout, or something is missing.
    """
    name = name or str(folder)
    try:
        files = FolderFiles(Path(folder))
    except FileNotFoundError:
        raise NotFound(f"{name}: no such folder", hint="check the path") from None
    except OSError as error:
        raise InvalidArchive(f"{name}: cannot be opened: {error.strerror}") from error
    return _archive(name, files, limits)


def _open_path(path: Path | str, name: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"{name}: no such file", hint="check the path") from None
    except OSError as error:
        raise InvalidArchive(f"{name}: cannot be opened: {error.strerror}") from error


def _open_descriptor(fd: int, folder: Path | None, limits: Limits, name: str) -> Archive:
    with errors_naming(name):
        if _readable_in_place(fd):
            files = TarFiles(os.dup(fd), limits)
        else:
            files = TarFiles(spool(DescriptorReader(fd), folder, limits), limits)
    return _archive(name, files, limits)


def _readable_in_place(fd: int) -> bool:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return False
    head = os.pread(fd, HEAD, os.lseek(fd, 0, os.SEEK_CUR))
    return bool(head) and detect(head) == "none"


def _archive(name: str, files: Files, limits: Limits) -> Archive:
    try:
        return Archive(name, files, limits)
    except BaseException:
        files.close()
        raise


def _images(blobs: Blobs, limits: Limits) -> list[ArchiveImage]:
    indexed = _is_there(blobs, "index.json")
    if indexed and _is_there(blobs, "oci-layout"):  # which some programs leave out
        check_layout(read_document(blobs.files, "oci-layout"))
    saved = saved_images(blobs) if _is_there(blobs, "manifest.json") else []
    if len(saved) > limits.images:
        raise LimitExceeded(f"more than {limits.images} images (limit images)")
    if not indexed and not saved:
        if _is_there(blobs, "repositories"):
            raise InvalidArchive(
                "it was saved by a Docker before 1.10", hint="load it into a later Docker, and save it there again"
            )
        raise InvalidArchive(
            "it is no archive of images", hint="a root file system in a tar is taken with import, not with load"
        )
    images = index_images(blobs) if indexed else []
    at = {config: index for index, image in reversed(list(enumerate(images))) for config in configs_of(blobs, image)}
    taken = {name for image in images for name in image.names}
    for item in saved:
        config = config_digest(blobs, item)
        if config not in at:
            at[config] = len(images)
            images.append(classic_image(blobs, item))
            taken.update(images[-1].names)
        elif new := tuple(name for name in item.names() if name not in taken):
            known = images[at[config]]
            images[at[config]] = replace(known, names=known.names + new)
            taken.update(new)
    if not images:
        raise InvalidArchive("it holds no image")
    if len(images) > limits.images:
        raise LimitExceeded(f"more than {limits.images} images (limit images)")
    return _each_name_once(images)


def _each_name_once(images: list[ArchiveImage]) -> list[ArchiveImage]:
    """Of several images of one name the last has it, as if they were loaded one after the other."""
    owners = {name: at for at, image in enumerate(images) for name in image.names}
    return [
        replace(image, names=tuple(name for name in image.names if owners[name] == at))
        for at, image in enumerate(images)
    ]


def _is_there(blobs: Blobs, name: str) -> bool:
    try:
        blobs.files.region(name).close()
    except NotFound:
        return False
    return True
