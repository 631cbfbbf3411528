"""Archives that are truncated, corrupted or hostile: one clear line each, and nothing left open."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jackstay_oci import media_types
from jackstay_oci.archives.archive import Archive, open_archive, open_layout
from jackstay_oci.archives.writing import ImageToSave, write_archive
from jackstay_oci.compression import zstd
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Manifest, parse_manifest
from jackstay_oci.errors import (
    DigestMismatch,
    DiskFull,
    Error,
    InvalidArchive,
    InvalidDocument,
    LimitExceeded,
    NotFound,
)
from jackstay_oci.limits import Limits
from jackstay_oci.store.blobs import BlobStore

MakeImage = Callable[..., Any]
MakeTar = Callable[..., bytes]
LayOut = Callable[[Path, dict[str, Any]], None]

PACK: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


def _open(tmp_path: Path, data: bytes, **options: Any) -> Archive:
    path = tmp_path / "image.tar"
    path.write_bytes(data)
    return open_archive(path, spool_dir=tmp_path, **options)


def _layer_descriptors(archive: Archive) -> tuple[Descriptor, ...]:
    descriptor = archive.images[0].manifest
    document = parse_manifest(archive.read(descriptor.digest, 0, 1 << 20), descriptor.media_type)
    assert isinstance(document, Manifest)
    return document.layers


Files = dict[str, Any]
Change = Callable[[Files, Any], object]
LAYER = f"{0:064x}/layer.tar"
"""The first layer of a classic archive."""


def _edit(name: str, edit: Callable[[Any], object]) -> Change:
    def change(files: Files, image: Any) -> None:
        document = json.loads(files[name])
        edit(document)
        files[name] = json.dumps(document).encode()

    return change


def _put(name: str, content: bytes | tuple[bytes, str]) -> Change:
    return lambda files, image: files.update({name: content})


def _put_blob(which: Callable[[Any], bytes], content: Callable[[bytes], bytes] | None) -> Change:
    """Another content for the blob, or none."""

    def change(files: Files, image: Any) -> None:
        blob = which(image)
        name = f"blobs/sha256/{Digest.of(blob).hex}"
        del files[name]
        if content is not None:
            files[name] = content(blob)

    return change


def _second_layer(image: Any) -> bytes:
    return bytes(image.layers[1])


def _config(image: Any) -> bytes:
    return bytes(image.config)


def _manifest_of(image: Any) -> bytes:
    return bytes(image.manifest)


def _in_manifest(edit: Callable[[Any], object]) -> Change:
    """Another manifest, which ``index.json`` names as it is."""

    def change(files: Files, image: Any) -> None:
        document = json.loads(image.manifest)
        edit(document)
        raw = json.dumps(document).encode()
        index = json.loads(files["index.json"])
        for item in index["manifests"]:
            item.update(digest=Digest.of(raw), size=len(raw))
        files["index.json"] = json.dumps(index).encode()
        files[f"blobs/sha256/{Digest.of(raw).hex}"] = raw

    return change


def _root_file_system(files: Files, image: Any) -> None:
    files.clear()
    files["etc/passwd"] = b"x"


BROKEN: dict[str, tuple[str, Change, type[Error], str]] = {
    "no layer": ("docker25", _put_blob(_second_layer, None), InvalidArchive, "lacks blob"),
    "no config": ("docker25", _put_blob(_config, None), InvalidArchive, "lacks blob"),
    "no manifest": ("oci", _put_blob(_manifest_of, None), InvalidArchive, "lacks manifest"),
    "short layer": ("docker25", _put_blob(_second_layer, lambda _: b"x"), InvalidArchive, "has 1 bytes, expected"),
    "wrong config": ("docker25", _put_blob(_config, lambda c: c.replace(b"/a", b"/b")), DigestMismatch, "digest"),
    "wrong manifest": ("oci", _put_blob(_manifest_of, lambda m: m.replace(b"1", b"2")), DigestMismatch, "digest"),
    "classic: wrong config": (
        "classic", lambda f, i: f.update({f"{i.image_id.hex}.json": i.config + b" "}), DigestMismatch, "digest",
    ),
    "classic: no config": ("classic", lambda f, i: f.pop(f"{i.image_id.hex}.json"), InvalidArchive, "lacks the config"),
    "classic: no layer": ("classic", lambda f, i: f.pop(LAYER), InvalidArchive, "lacks the layer"),
    "counts": (
        "classic", _edit("manifest.json", lambda d: d[0]["Layers"].pop()), InvalidArchive, "1 layers and 2 diffIDs",
    ),
    "layer outside": (
        "classic", _edit("manifest.json", lambda d: d[0].update(Layers=["../../etc/passwd", "/etc/passwd"])),
        InvalidArchive, "lacks the layer '../../etc/passwd'",
    ),
    "config outside": (
        "classic", _edit("manifest.json", lambda d: d[0].update(Config="../../../etc/passwd")),
        InvalidArchive, "lacks the config",
    ),
    "link outside": ("classic", _put(LAYER, (tarfile.SYMTYPE, "../../etc/passwd")), InvalidArchive, "leads out of"),
    "absolute link": ("classic", _put(LAYER, (tarfile.SYMTYPE, "/etc/passwd")), InvalidArchive, "lacks the layer"),
    "link loop": ("classic", _put(LAYER, (tarfile.SYMTYPE, "layer.tar")), InvalidArchive, "more than 40 links"),
    "hard link outside": ("classic", _put(LAYER, (tarfile.LNKTYPE, "/etc/passwd")), InvalidArchive, "lacks the layer"),
    "a folder": ("classic", _put(LAYER, (tarfile.DIRTYPE, "")), InvalidArchive, "is a directory"),
    "a device": ("classic", _put(LAYER, (tarfile.CHRTYPE, "")), InvalidArchive, "is a character device"),
    "layer in xz": ("classic", _put(LAYER, lzma.compress(b"x")), InvalidArchive, "compressed with xz"),
    "bad name": (
        "classic", _edit("manifest.json", lambda d: d[0].update(RepoTags=["../x"])), InvalidArchive, "an image badly",
    ),
    "bad annotation": (
        "docker25",
        _edit("index.json", lambda d: d["manifests"][0].update(annotations={"io.containerd.image.name": "A/B"})),
        InvalidArchive, "an image badly",
    ),
    "manifest.json of numbers": ("classic", _put("manifest.json", b"[1]"), InvalidArchive, "malformed"),
    "manifest.json of nothing": ("classic", _put("manifest.json", b"[]"), InvalidArchive, "no archive of images"),
    "index.json broken": ("oci", _put("index.json", b"{"), InvalidDocument, "malformed"),
    "index.json empty": ("oci", _put("index.json", b'{"schemaVersion":2}'), InvalidArchive, "holds no image"),
    "index.json too large": ("oci", _put("index.json", bytes(5 << 20)), InvalidDocument, "at most"),
    "index.json is a manifest": (
        "oci", lambda f, i: f.update({"index.json": i.manifest}), InvalidDocument, "expected an index",
    ),
    "type confusion": (
        "oci", _edit("index.json", lambda d: d["manifests"][0].update(mediaType=media_types.OCI_INDEX)),
        InvalidDocument, "descriptor says",
    ),
    "wrong size of the manifest": (
        "oci", _edit("index.json", lambda d: d["manifests"][0].update(size=7)), InvalidArchive, "expected 7",
    ),
    "no image at all": ("classic", _root_file_system, InvalidArchive, "no archive of images"),
    "older than manifest.json": (
        "classic", lambda f, i: (f.pop("manifest.json"), f.update(repositories=b"{}")), InvalidArchive, "before 1.10",
    ),
    "another version": (
        "oci", _put("oci-layout", b'{"imageLayoutVersion":"2.0.0"}'), InvalidArchive, "layout of version '2.0.0'",
    ),
    "no version": ("docker25", _put("oci-layout", b"{}"), InvalidArchive, "oci-layout is malformed"),
    "oci-layout deep": ("oci", _put("oci-layout", b"[" * 100_000), InvalidArchive, "oci-layout is malformed"),
    "oci-layout too large": ("oci", _put("oci-layout", bytes(5 << 20)), InvalidDocument, "at most"),
    "digest that climbs": (
        "oci", _edit("index.json", lambda d: d["manifests"][0].update(digest="sha256:../../../../etc/passwd")),
        InvalidDocument, "invalid digest",
    ),
    "layer that climbs": (
        "oci", _in_manifest(lambda d: d["layers"][0].update(digest="../../../../../etc/passwd")),
        InvalidDocument, "invalid digest",
    ),
    "wrong size of the config": (
        "oci", _in_manifest(lambda d: d["config"].update(size=7)), InvalidArchive, "bytes, expected 7",
    ),
    "a size below 0": ("oci", _in_manifest(lambda d: d["layers"][0].update(size=-1)), InvalidDocument, "malformed"),
    "a size past all bounds": (
        "oci", _in_manifest(lambda d: d["layers"][0].update(size=10**30)), InvalidDocument, "malformed",
    ),
    "one layer less": (
        "oci", _in_manifest(lambda d: d["layers"].pop()), InvalidArchive, "has 1 layers and 2 diffIDs",
    ),
    "manifest.json deep": ("classic", _put("manifest.json", b"[" * 100_000), InvalidArchive, "malformed"),
    "manifest.json not UTF-8": ("classic", _put("manifest.json", b'[{"Config":"\xff"}]'), InvalidArchive, "malformed"),
    "manifest.json too large": ("classic", _put("manifest.json", bytes(5 << 20)), InvalidDocument, "at most"),
    "index.json deep": ("oci", _put("index.json", b'{"a":' * 100_000), InvalidDocument, "malformed"),
    "config deep": (
        "classic", _edit("manifest.json", lambda d: d[0].update(Config=LAYER)), InvalidDocument, "malformed",
    ),
    "config too large": (
        "classic", lambda f, i: f.update({f"{i.image_id.hex}.json": bytes(5 << 20)}), InvalidDocument, "at most",
    ),
    "only folders": (
        "classic", lambda f, i: (f.clear(), f.update({"a": (tarfile.DIRTYPE, "")})), InvalidArchive, "no archive",
    ),
    "links to each other": (
        "classic",
        lambda f, i: f.update({LAYER: (tarfile.SYMTYPE, "../b"), "b": (tarfile.SYMTYPE, LAYER)}),
        InvalidArchive, "more than 40 links",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_bad_archive_is_refused_by_name(tmp_path: Path, make_image: MakeImage, make_tar: MakeTar, case: str) -> None:
    form, change, kind, message = BROKEN[case]
    image = make_image()
    files = getattr(image, form)()
    change(files, image)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(kind, match=message) as caught:
        _open(tmp_path, make_tar(files))
    assert caught.value.message.startswith(f"{tmp_path}/image.tar: ")
    assert "\n" not in caught.value.message
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"\x1f\x8b\x08",
        bytes(512),
        bytes(10240),
        b"PK\x03\x04" + bytes(600),
        b"a text\n" * 200,
        b"BZh9",
        b"\xfd7zXZ\0",
    ],
)
def test_what_is_no_tar_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InvalidArchive, match=r"image\.tar: "):
        _open(tmp_path, data)


@pytest.mark.parametrize("data", [b"short", b"a text, not a tar\n" * 100, bytes(range(256)) * 9])
def test_what_has_no_header_is_called_no_tar(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InvalidArchive, match=r"image\.tar: it is no tar archive: "):
        _open(tmp_path, data)


def test_a_missing_file_and_a_file_that_is_a_folder_without_layout(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        open_archive(tmp_path / "none")
    with pytest.raises(NotFound, match="no such folder"):
        open_layout(tmp_path / "none")
    with pytest.raises(InvalidArchive, match="no archive of images"):
        open_archive(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidArchive, match="Not a directory"):
        open_layout(tmp_path / "file")


def test_nothing_of_a_folder_is_reached_through_links(tmp_path: Path, make_image: MakeImage, lay_out: LayOut) -> None:
    lay_out(tmp_path / "layout", make_image().oci())
    blobs = tmp_path / "layout" / "blobs"
    (blobs / "sha256").rename(tmp_path / "elsewhere")
    (blobs / "sha256").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidArchive, match="cannot be opened"):
        open_layout(tmp_path / "layout")
    (blobs / "sha256").unlink()
    (tmp_path / "elsewhere").rename(blobs / "sha256")
    open_layout(tmp_path / "layout").close()
    (tmp_path / "layout" / "index.json").unlink()
    os.mkfifo(tmp_path / "layout" / "index.json")
    with pytest.raises(InvalidArchive, match="not a file"):
        open_layout(tmp_path / "layout")


@pytest.mark.parametrize("packed", PACK)
def test_every_truncation_is_noticed(tmp_path: Path, make_image: MakeImage, make_tar: MakeTar, packed: str) -> None:
    data = PACK[packed](make_tar(make_image().docker25()).rstrip(b"\0"))
    for end in range(0, len(data), max(1, len(data) // 60)):
        with pytest.raises(Error, match=r"image\.tar: "):
            _open(tmp_path, data[:end])


@pytest.mark.parametrize("form", ["classic", "docker25"])
def test_flipped_bytes_raise_nothing_but_errors(
    tmp_path: Path, make_image: MakeImage, make_tar: MakeTar, form: str
) -> None:
    image = make_image()
    data = make_tar(getattr(image, form)())
    store = BlobStore(tmp_path / "store")
    for at in range(0, len(data.rstrip(b"\0")), 97):
        flipped = bytearray(data)
        flipped[at] ^= 0x20
        try:
            with _open(tmp_path, bytes(flipped)) as archive:
                # Whoever stores what it holds notices the rest: a stored blob is what its digest says.
                for layer in _layer_descriptors(archive):
                    with store.ingest("layer", expected=layer.digest, total=layer.size) as ingest:
                        ingest.write(archive.read(layer.digest, 0, layer.size))
                        ingest.commit()
        except Error:
            continue
    assert {digest for digest, _ in store.walk()} <= {Digest.of(layer) for layer in image.layers}


def test_a_wrong_layer_is_noticed_by_who_stores_it(
    tmp_path: Path, make_image: MakeImage, make_tar: MakeTar, store: BlobStore
) -> None:
    image = make_image()
    files = image.classic()
    files[f"{0:064x}/layer.tar"] = image.layers[0].replace(b"one", b"eno")
    with _open(tmp_path, make_tar(files)) as archive:
        layer = _layer_descriptors(archive)[0]
        ingest = store.ingest("x", expected=layer.digest)
        ingest.write(archive.read(layer.digest, 0, layer.size))
        with pytest.raises(DigestMismatch):
            ingest.commit()
    assert list(store.walk()) == []


def test_bounds(tmp_path: Path, make_image: MakeImage, make_tar: MakeTar) -> None:
    data = make_tar(make_image().docker25())
    for limits, packed in (
        (Limits(entries=3), data),
        (Limits(total_bytes=len(data) // 2), gzip.compress(data)),
        (Limits(ratio=2, ratio_after=100), gzip.compress(data)),
    ):
        with pytest.raises(LimitExceeded, match=r"image\.tar: .*limit"):
            _open(tmp_path, packed, limits=limits)
    with pytest.raises(LimitExceeded, match="total_bytes"):
        open_archive(io.BytesIO(data), spool_dir=tmp_path, limits=Limits(total_bytes=1000))


def test_a_full_disk_while_spooling_is_named(
    tmp_path: Path, make_image: MakeImage, make_tar: MakeTar, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    data = gzip.compress(make_tar(make_image().docker25()))
    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(DiskFull, match="a copy of the archive"):
            open_archive(io.BytesIO(data), spool_dir=tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


def _nested(width: int, depth: int) -> tuple[dict[str, Any], Any]:
    """Indexes of indexes: each names the next ``width`` times; the last names a document that is no image."""
    blob = json.dumps(
        {"schemaVersion": 2, "config": {"mediaType": media_types.OCI_EMPTY, "digest": Digest.of(b"{}"), "size": 2}}
    ).encode()
    files: dict[str, Any] = {f"blobs/sha256/{Digest.of(b'{}').hex}": b"{}"}
    media_type = media_types.OCI_MANIFEST
    for _ in range(depth):
        files[f"blobs/sha256/{Digest.of(blob).hex}"] = blob
        child = {"mediaType": media_type, "digest": Digest.of(blob), "size": len(blob)}
        media_type = media_types.OCI_INDEX
        blob = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": [child] * width}).encode()
    files["index.json"] = blob
    return files, Descriptor(media_type=media_types.OCI_INDEX, digest=Digest.of(blob), size=len(blob))


def test_indexes_that_name_each_other_many_times_cost_no_more_than_their_bytes(
    tmp_path: Path, make_tar: MakeTar, store: BlobStore
) -> None:
    # 2000 × 2000 × 2000 looks at the same manifest, were each name followed.
    files, root = _nested(2000, 3)
    with pytest.raises(InvalidArchive, match="holds no image"):
        _open(tmp_path, make_tar(files))
    for blob in files.values():
        store.put(blob)
    write_archive(io.BytesIO(), [ImageToSave((), root)], store, "oci")


def test_indexes_are_bounded_in_depth(tmp_path: Path, make_tar: MakeTar, store: BlobStore) -> None:
    files, root = _nested(1, 6)
    with pytest.raises(InvalidArchive, match="more than 3 deep"):
        _open(tmp_path, make_tar(files))
    for blob in files.values():
        store.put(blob)
    with pytest.raises(InvalidDocument, match="more than 3 deep"):
        write_archive(io.BytesIO(), [ImageToSave((), root)], store, "oci")


def test_images_are_bounded(tmp_path: Path, make_image: MakeImage, make_tar: MakeTar) -> None:
    files = make_image().classic()
    files["manifest.json"] = json.dumps(json.loads(files["manifest.json"]) * 5).encode()
    _open(tmp_path, make_tar(files), limits=Limits(images=5)).close()
    with pytest.raises(LimitExceeded, match="limit images"):
        _open(tmp_path, make_tar(files), limits=Limits(images=4))


def test_a_folder_of_many_blobs_takes_few_descriptors(
    tmp_path: Path, make_image: MakeImage, make_tar: MakeTar, lay_out: LayOut
) -> None:
    image = make_image([make_tar({str(at): b""}) for at in range(100)])
    lay_out(tmp_path / "layout", image.docker25())
    before = len(os.listdir("/proc/self/fd"))
    with open_layout(tmp_path / "layout") as archive:
        for layer in _layer_descriptors(archive):
            assert Digest.of(archive.read(layer.digest, 0, layer.size)) == layer.digest
            reader = archive.open_blob(layer.digest)
            assert len(reader.read(100)) == 100
            reader.close()
        assert len(os.listdir("/proc/self/fd")) == before + 1
    assert len(os.listdir("/proc/self/fd")) == before
