"""Every form of archive, with layers and as a whole in every compression, from a file and from a stream."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jackstay_oci import media_types
from jackstay_oci.archives.archive import Archive, open_archive
from jackstay_oci.compression import decompressing, zstd
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Manifest, parse_manifest
from jackstay_oci.reading import read_exactly
from tests.zstd_chunked import zstd_chunked

MakeImage = Callable[..., Any]
MakeTar = Callable[..., bytes]
LayOut = Callable[[Path, dict[str, Any]], None]

APP = "docker.io/library/app:1"
LAYERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "plain": (bytes, media_types.OCI_LAYER),
    "gzip": (lambda data: gzip.compress(data, mtime=0), media_types.OCI_LAYER_GZIP),
    "zstd": (zstd.compress, media_types.OCI_LAYER_ZSTD),
    "zstd:chunked": (zstd_chunked, media_types.OCI_LAYER_ZSTD),
}
WHOLE: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


def packed(make_image: MakeImage, make_tar: MakeTar, layer: str) -> Any:
    pack, kind = LAYERS[layer]
    image = make_image([make_tar({"a": os.urandom(20_000), "b": b"b" * 70_000}), make_tar({"c/d": b"two" * 5000})])
    if layer != "plain":
        image.packed = [pack(data) for data in image.layers]
        image.layer_type = kind
    return image


def check(archive: Archive, image: Any, form: str, layer: str) -> None:
    (found,) = archive.images
    assert (found.names, found.config_digest) == ((APP,), image.image_id)
    if form != "classic":
        assert found.manifest.digest == Digest.of(image.manifest)
    manifest = parse_manifest(archive.read(found.manifest.digest, 0, 1 << 20), found.manifest.media_type)
    assert isinstance(manifest, Manifest)
    assert [one.media_type for one in manifest.layers] == [LAYERS[layer][1]] * 2
    for one, tar in zip(manifest.layers, image.layers, strict=True):
        reader = archive.open_blob(one.digest)
        plain = decompressing(reader, kind=media_types.layer_compression(one.media_type))
        assert read_exactly(plain, 1 << 20) == tar
        reader.close()


@contextmanager
def streaming(data: bytes) -> Iterator[int]:
    """A pipe that the data comes from."""
    read, write = os.pipe()

    def feed() -> None:
        with open(write, "wb") as pipe:
            pipe.write(data)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield read
    finally:
        thread.join()
        os.close(read)


@pytest.mark.parametrize("whole", WHOLE)
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("form", ["classic", "docker25", "oci"])
def test_archives(tmp_path: Path, make_image: MakeImage, make_tar: MakeTar, form: str, layer: str, whole: str) -> None:
    image = packed(make_image, make_tar, layer)
    files = image.oci([{"io.containerd.image.name": APP}]) if form == "oci" else getattr(image, form)()
    data = WHOLE[whole](make_tar(files))
    (tmp_path / "file").write_bytes(data)
    with open_archive(tmp_path / "file", spool_dir=tmp_path) as archive:
        check(archive, image, form, layer)
        images = archive.images
    with streaming(data) as stdin, open_archive(stdin, spool_dir=tmp_path) as archive:
        check(archive, image, form, layer)
        assert archive.images == images  # a manifest that was made here, too
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("form", ["docker25", "oci"])
def test_folders(
    tmp_path: Path, make_image: MakeImage, make_tar: MakeTar, lay_out: LayOut, form: str, layer: str
) -> None:
    image = packed(make_image, make_tar, layer)
    lay_out(tmp_path, image.oci([{"io.containerd.image.name": APP}]) if form == "oci" else image.docker25())
    with open_archive(tmp_path) as archive:
        check(archive, image, form, layer)


def test_of_several_images_of_one_name_the_last_has_it(
    tmp_path: Path, make_image: MakeImage, make_tar: MakeTar
) -> None:
    one, two = make_image([make_tar({"1": b""})], names=["app:1", "app:2"]), make_image([make_tar({"2": b""})])
    named = {"io.containerd.image.name": APP}
    other = {"io.containerd.image.name": "docker.io/library/app:2"}
    first, second = one.oci([named, other]), two.oci([named])
    documents = [json.loads(bytes(files["index.json"])) for files in (first, second)]
    index = {**documents[0], "manifests": [*documents[0]["manifests"], *documents[1]["manifests"]]}
    oci = first | second | {"index.json": json.dumps(index).encode()}
    classic = one.classic() | two.classic()
    saved = [json.loads(bytes(image.classic()["manifest.json"]))[0] for image in (one, two)]
    saved[1]["Layers"] = [f"other/{path}" for path in saved[1]["Layers"]]
    classic |= {f"other/{0:064x}/layer.tar": two.layers[0], f"{0:064x}/layer.tar": one.layers[0]}
    classic["manifest.json"] = json.dumps(saved).encode()
    for files in (oci, classic):
        (tmp_path / "file").write_bytes(make_tar(files))
        with open_archive(tmp_path / "file") as archive:
            assert [(image.names, image.config_digest) for image in archive.images] == [
                (("docker.io/library/app:2",), one.image_id),
                ((APP,), two.image_id),
            ]
