"""Writes archives of images: as a stream of tar, or into an OCI folder.

Guarantees the same bytes for the same images: entries in Docker's order (sorted), each blob once and exactly as stored,
times at the epoch, owner 0. Each blob is hashed on its way, so that a damaged one ends the writing with an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jackstay_oci.archives.oci_folder import OciFolder
from jackstay_oci.archives.saving import Format, ImageToSave, plan
from jackstay_oci.digest import Digest, hasher
from jackstay_oci.documents import Platform, parse_index
from jackstay_oci.errors import DigestMismatch
from jackstay_oci.reading import BlobReader, Content
from jackstay_oci.tar.entries import Entry, Kind
from jackstay_oci.tar.writer import BinaryWriter, TarWriter

__all__ = ["ImageToSave", "write_archive", "write_layout"]

_CHUNK = 1 << 20


class _Hashing:
    """A blob being read that says at its end whether it was what its digest names."""

    def __init__(self, source: BlobReader, digest: Digest, size: int) -> None:
        self._source = source
        self._digest = digest
        self._left = size
        self._hash = hasher()

    def read(self, size: int, /) -> bytes:
        data = self._source.read(min(size, self._left)) if self._left else b""
        self._hash.update(data)
        self._left -= len(data)
        if self._left and not data:
            raise DigestMismatch(f"blob {self._digest} ends {self._left} bytes short")
        if not self._left and data and Digest.finish(self._hash) != self._digest:
            raise DigestMismatch(f"blob {self._digest} is damaged", hint="check the store, and fetch the image again")
        return data


def write_archive(
    out: BinaryWriter,
    images: Sequence[ImageToSave],
    content: Content,
    format: Format = "docker",
    *,
    platform: Platform | None = None,
) -> None:
    """Write a tar of ``images`` to ``out``, which stays open.

    Args:
        out: anything with ``write(bytes)`` that takes all it is given.
        images: what to save.
        content: where the blobs are.
        format: ``docker`` (Docker ≥ 25's form, with ``manifest.json`` for older readers) or ``oci``.
        platform: of an index, the image that ``manifest.json`` names; this machine's when not given.

    Raises:
        NotFound: a blob is missing; nothing was written.
        DigestMismatch: a blob is damaged.
    """
    planned = plan(images, content, format, platform)
    with TarWriter(out) as tar:
        for folder in (b"blobs/", b"blobs/sha256/"):
            tar.add(Entry(name=folder, kind=Kind.DIRECTORY, mode=0o755))
        for digest, size in sorted(planned.blobs.items()):
            entry = Entry(name=b"blobs/sha256/" + digest.hex.encode(), size=size)
            reader = content.open_blob(digest)
            try:
                tar.add(entry, _Hashing(reader, digest, size))
            finally:
                reader.close()
        for name, data in sorted(planned.files.items()):
            tar.add(Entry(name=name.encode(), size=len(data)), data)


def write_layout(folder: Path | str, images: Sequence[ImageToSave], content: Content) -> None:
    """Write ``images`` into an OCI folder (``oci:DIR``), made when it is missing; images that it has stay in it.

    Raises:
        NotFound: a blob is missing.
        DigestMismatch: a blob is damaged.
        InvalidArchive, InvalidDocument: the folder is none that can be added to.
        DiskFull: no space is left.
    """
    planned = plan(images, content, "oci")
    target = OciFolder.at(folder)
    for digest, size in planned.blobs.items():
        if not target.has(digest, size):
            _write_blob(target, content, digest, size)
    target.add(parse_index(planned.files["index.json"]).manifests)


def _write_blob(target: OciFolder, content: Content, digest: Digest, size: int) -> None:
    reader = content.open_blob(digest)
    try:
        with target.blob(digest, size) as blob:
            while data := reader.read(_CHUNK):
                blob.write(data)
            blob.commit()
    finally:
        reader.close()
