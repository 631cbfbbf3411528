"""Writes archives of images: as a stream of tar, or into an OCI folder.

Guarantees the same bytes for the same images: entries in Docker's order (sorted), each blob once and exactly as stored,
times at the epoch, owner 0. Each blob is hashed on its way, so that a damaged one ends the writing with an error.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from jackstay_oci.archives.naming import IMAGE_NAME, REF_NAME
from jackstay_oci.archives.saving import Format, ImageToSave, SavePlan, plan
from jackstay_oci.digest import Digest, hasher
from jackstay_oci.documents import Descriptor, Index, Platform, encode, parse_index
from jackstay_oci.errors import DigestMismatch, InvalidDocument
from jackstay_oci.reading import BlobReader, Content
from jackstay_oci.store.disk_errors import full_disk_named
from jackstay_oci.tar.entries import Entry, Kind
from jackstay_oci.tar.window import write_all
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

    ``index.json`` is replaced last and at once: whatever is cut before leaves the old images.

    Raises:
        NotFound: a blob is missing.
        DigestMismatch: a blob is damaged.
        InvalidDocument: the folder has an ``index.json`` that is none.
        DiskFull: no space is left.
    """
    root = Path(folder)
    planned = plan(images, content, "oci")
    with full_disk_named(f"the OCI folder {root}"):
        blobs = root / "blobs" / "sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        for digest, size in planned.blobs.items():
            target = blobs / digest.hex
            if not (target.is_file() and target.stat().st_size == size):
                _write_blob(target, content, digest, size)
        _write_file(root / "oci-layout", planned.files["oci-layout"])
        _write_file(root / "index.json", _merged_index(root / "index.json", planned))


def _merged_index(path: Path, planned: SavePlan) -> bytes:
    new = parse_index(planned.files["index.json"])
    if not path.exists():
        return planned.files["index.json"]
    raw = path.read_bytes()
    try:
        old = parse_index(raw)
    except InvalidDocument as error:
        raise InvalidDocument(f"{path}: {error.message}") from error
    taken = {_label(item) for item in new.manifests}
    kept = tuple(item for item in old.manifests if _label(item) not in taken)
    merged = Index(
        media_type=new.media_type, manifests=kept + new.manifests, annotations=old.annotations, subject=old.subject
    )
    return encode(merged)


def _label(descriptor: Descriptor) -> str:
    """What makes an entry of an index the same as another: its name, or else its digest."""
    return descriptor.annotations.get(IMAGE_NAME) or descriptor.annotations.get(REF_NAME) or descriptor.digest


def _write_blob(target: Path, content: Content, digest: Digest, size: int) -> None:
    reader = content.open_blob(digest)
    try:
        source = _Hashing(reader, digest, size)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                while data := source.read(_CHUNK):
                    write_all(fd, data)
            finally:
                os.close(fd)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    finally:
        reader.close()


def _write_file(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
